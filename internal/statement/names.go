package statement

// qualifier is what stands before the last dot of a name.
type qualifier uint8

const (
	qualifierNone qualifier = iota
	qualifierCatalog
	qualifierOther
)

// word takes the word text[at:end] that stands between tokens. The text behind
// it is only loaded, for speed, and does not count.
func (s *Scanner) word(text []byte, at, end int) {
	if s.token == tokenDot {
		w := text[at:end]
		s.token = tokenName
		if s.qualifier == qualifierCatalog && foldedEqual(w, settingsView) {
			s.heedSettings()
		}
		if s.stage < stageQuery {
			s.attend(nil)
		}
		return
	}
	s.before, s.qualifier = s.token, qualifierNone
	s.token = wordToken(text, at, end)
	if s.stage == stageQuery {
		if s.token&heededToken != 0 {
			s.heed(s.token.word())
		}
		return
	}
	if s.stage < stageQuery {
		s.attendName(text[at:end])
	}
}

// quoted takes a quoted name; w is what is between the quotes.
func (s *Scanner) quoted(w []byte) {
	if s.token != tokenDot {
		s.before, s.qualifier = s.token, qualifierNone
	}
	s.token = tokenQuoted
	if s.qualifier != qualifierOther && (string(w) == settingsView || s.odd()) {
		s.heedSettings()
	}
	if s.stage < stageQuery {
		s.attendName(w)
	}
}

func (s *Scanner) attendName(w []byte) {
	if s.watch && s.mayNameTemp(w) {
		s.current |= Temp
	}
	s.attend(w)
}

// mayNameTemp says whether w, the last name, is pg_temp, pg_temp_3 or the like,
// or cannot be read.
func (s *Scanner) mayNameTemp(w []byte) bool {
	return len(w) >= len(tempSchema) && foldedEqual(w[:len(tempSchema)], tempSchema) || s.token == tokenQuoted && s.odd()
}

const (
	tempSchema   = "pg_temp"
	settingsView = "pg_settings"
)

// heedSettings notes that the view of the parameters is named: an UPDATE of it
// sets them.
func (s *Scanner) heedSettings() {
	if s.current&Write != 0 {
		s.current |= Set | SetConfig
	}
}

func (s *Scanner) dot(chunk []byte) {
	if k := s.token.kind(); k == tokenName || k == tokenQuoted {
		w := s.lastName(chunk)
		switch {
		case s.qualifier == qualifierNone && len(w) == len("pg_catalog") && s.isCatalog(w):
			s.qualifier = qualifierCatalog
		default:
			s.qualifier = qualifierOther
			if s.current&Write != 0 && s.mayNameTemp(w) {
				s.current |= Temp
			}
		}
	} else {
		s.before, s.qualifier = s.token, qualifierOther
	}
	s.token = tokenDot
	if s.stage < stageQuery {
		s.attend(nil)
	}
}

func (s *Scanner) isCatalog(w []byte) bool {
	if s.token == tokenQuoted {
		return string(w) == "pg_catalog" && !s.odd()
	}
	return foldedEqual(w, "pg_catalog")
}

// odd says whether the last name is not what the bytes of it say.
func (s *Scanner) odd() bool { return s.nameEnd == 0 && s.nameOdd }
