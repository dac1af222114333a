package statement

// Trusted is a set of functions beside the built-in ones whose calls leave
// nothing behind in the session. A nil set is empty. It is not changed after it
// is made and may be shared.
type Trusted struct{ names map[string]struct{} }

// Trust makes a set of functions by name, without schema or parentheses, as
// PostgreSQL stores it (lower case unless the name is always quoted). A name
// stands for the functions of that name in every schema. Names longer than 63
// bytes are never called and ignored.
func Trust(names []string) *Trusted {
	t := &Trusted{names: make(map[string]struct{}, len(names))}
	for _, name := range names {
		if len(name) <= maxName {
			t.names[name] = struct{}{}
		}
	}
	return t
}

// has says whether the function w is in the set; exact is for quoted names.
func (t *Trusted) has(w []byte, exact bool) bool {
	if t == nil || len(w) > maxName {
		return false
	}
	var folded [maxName]byte
	n := copy(folded[:], w)
	if !exact {
		for i, c := range folded[:n] {
			folded[i] = lower(c)
		}
	}
	_, ok := t.names[string(folded[:n])]
	return ok
}

// ScanTrusting is Scan for a database in which the functions of trusted are
// known to be harmless.
func ScanTrusting(text []byte, standardConformingStrings bool, trusted *Trusted) Effect {
	var s Scanner
	s.backslash = !standardConformingStrings
	s.trusted = trusted
	s.Feed(text)
	return s.Finish()
}

// Trust sets the functions that are known to be harmless, until Reset. Call it
// before the first Feed.
func (s *Scanner) Trust(trusted *Trusted) { s.trusted = trusted }
