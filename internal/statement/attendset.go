package statement

// attendSet reads the words between SET and the name of the parameter. Each of
// LOCAL, SESSION, TRANSACTION, CONSTRAINTS and ROLE may also be (the beginning
// of) the name.
func (s *Scanner) attendSet(k keyword, w []byte) {
	switch s.stage {
	case stageSet:
		s.attendSetName(k, w)
	case stageSetLocal, stageSetTransaction:
		if s.assigns(k) {
			s.current |= Set
		} else {
			s.current |= SetLocal
		}
		s.stage = stageSetRest
	case stageSetSession:
		s.attendSetSession(k, w)
	case stageSetRole:
		if s.token == tokenDot {
			s.current |= Set
		}
		s.stage = stageSetRest
	}
}

// assigns says whether the word before the last token is a parameter.
func (s *Scanner) assigns(k keyword) bool {
	return s.token == tokenDot || s.token == tokenOperator || k == kwTo
}

func (s *Scanner) attendSetName(k keyword, w []byte) {
	if s.token == tokenQuoted {
		if named := findWord(w).word(); named == kwRole || named == kwSessionAuthorization {
			s.current |= SetRole
		}
	}
	switch k {
	case kwLocal:
		s.stage = stageSetLocal
	case kwSession:
		s.stage = stageSetSession
	case kwTransaction, kwConstraints:
		s.stage = stageSetTransaction
	case kwRole, kwSessionAuthorization:
		s.current |= SetRole
		s.stage = stageSetRole
	default:
		if s.current&SetRole == 0 {
			s.current |= Set
		}
		s.stage = stageSetRest
	}
}

func (s *Scanner) attendSetSession(k keyword, w []byte) {
	switch {
	case k == kwAuthorization, k == kwSession:
		s.current |= SetRole
		s.stage = stageSetRest
	case s.assigns(k):
		s.current |= Set
		s.stage = stageSetRest
	default:
		s.attendSetName(k, w)
		if s.stage == stageSetTransaction || s.stage == stageSetLocal { // a parameter's name
			s.current |= Set
			s.stage = stageSetRest
		}
	}
}

// attendReset reads the name after RESET.
func (s *Scanner) attendReset(k keyword, w []byte) {
	if s.token == tokenQuoted {
		k = findWord(w).word()
	}
	switch k {
	case kwRole, kwSessionAuthorization:
		s.current |= SetRole
	case kwSession: // SESSION AUTHORIZATION, or a parameter
		s.current |= SetRole | Set
	default:
		s.current |= Set
	}
	s.stage = stageSkip
}
