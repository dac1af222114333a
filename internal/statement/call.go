package statement

// openAfterName judges a name in a query that is followed by '(': called or
// not, and what then. It says whether an expression may follow the ')'.
func (s *Scanner) openAfterName(chunk []byte) (resumable bool) {
	if s.qualifier == qualifierNone && s.token.kind() == tokenName {
		if s.token.flags()&wordSyntax != 0 {
			return s.token.isKeyword(kwWith) || s.token.isKeyword(kwOn) && s.before.isKeyword(kwDistinct)
		}
		resumable = s.token.isKeyword(kwOperator)
		if s.isPhrase() {
			return false
		}
	}
	if s.before.endsOperand() || s.before == tokenCast || s.before.flags()&wordLabels != 0 {
		return resumable
	}
	if s.depth < 64 && s.ctes>>uint(s.depth)&1 != 0 {
		return false
	}
	s.call(s.lastName(chunk))
	return resumable
}

// isPhrase says whether the last word and the one before are a phrase of the
// grammar that goes on with '('.
func (s *Scanner) isPhrase() bool {
	b := s.before.word()
	if s.before.kind() != tokenName {
		return false
	}
	switch s.token.word() {
	case kwConflict:
		return b == kwOn
	case kwBy:
		return b == kwGroup || b == kwOrder || b == kwPartition
	case kwSets:
		return b == kwGrouping
	case kwInsert:
		return b == kwThen && s.merging
	case kwRollup, kwCube:
		return b == kwBy && s.grouping
	case kwZone:
		return b == kwTime
	case kwVarying:
		return b == kwChar || b == kwCharacter || b == kwBit || b == kwNchar
	case kwFirst, kwNext:
		return b == kwFetch
	case kwJoin:
		return b == kwLeft || b == kwRight || b == kwFull || b == kwInner || b == kwOuter || b == kwCross || b == kwNatural
	case kwKey:
		return b == kwPrimary || b == kwForeign
	case kwSet:
		return b == kwUpdate
	case kwStdin, kwStdout:
		return s.current&Copy != 0
	}
	return false
}

// call adds the effects of calling the last name.
func (s *Scanner) call(w []byte) {
	class := functionUnknown
	if s.qualifier != qualifierOther && !s.odd() {
		class = findFunction(w, s.token == tokenQuoted)
	}
	if class == functionPlain {
		return
	}
	if class == functionUnknown && !s.odd() && s.trusted.has(w, s.token == tokenQuoted) {
		s.current |= Volatile
		return
	}
	s.current |= functionEffects[class]
	if class == functionSetConfig {
		s.openConfig()
	}
}

// openConfig begins to follow the arguments of set_config; of one inside of
// another nothing is known.
func (s *Scanner) openConfig() {
	s.watch = true
	if s.config.depth != 0 {
		s.current |= Set
		return
	}
	s.config = configCall{depth: s.depth + 1}
}

// endConfig looks at the last argument of set_config: only a literal true makes
// the setting local.
func (s *Scanner) endConfig() {
	local := s.config.argument == 2 && s.token.isKeyword(kwTrue) && s.before == tokenComma
	if local {
		s.current |= SetLocal
	} else {
		s.current |= Set
	}
	s.config = configCall{}
}
