package statement

// clauses is the grammatical part of the scanner's state.
type clauses struct {
	token     token // the last one
	before    token // the one before the last name, with its qualifiers
	qualifier qualifier
	stage     stage
	readable  bool // the statement may be Read
	grouping  bool // the last BY was of GROUP BY
	merging   bool // in a MERGE without CASE, where THEN INSERT (a) calls nothing
	watch     bool // look for pg_temp in strings
	watched   uint8

	lastOperator byte
	depth        int32 // open parentheses
	atomic       int32 // open BEGIN ATOMIC and CASE
	nameAt       int   // the last name in the chunk, if nameEnd is not 0
	nameEnd      int

	resumable uint64 // depths at which an expression may follow the ')'
	ctes      uint64 // depths at which a WITH list is being read

	config configCall
}

// configCall follows the arguments of set_config.
type configCall struct {
	depth    int32 // of its arguments, 0 outside
	argument uint8
}

func (s *Scanner) operand() {
	s.token = tokenOperand
	if s.stage < stageQuery {
		s.attend(nil)
	}
}

func (s *Scanner) operatorByte(c byte) {
	if c == ':' && s.token == tokenOperator && s.lastOperator == ':' {
		s.token = tokenCast
		return
	}
	s.lastOperator = c
	s.token = tokenOperator
	if s.stage < stageQuery {
		s.attend(nil)
	}
}

func (s *Scanner) operator() { s.operatorByte(0) }

func (s *Scanner) comma() {
	if s.config.depth != 0 && s.config.depth == s.depth && s.config.argument < 9 {
		s.config.argument++
	}
	s.token = tokenComma
	if s.stage < stageQuery {
		s.attend(nil)
	}
}

func (s *Scanner) open(chunk []byte) {
	resumable := false
	if k := s.token.kind(); (k == tokenName || k == tokenQuoted) && s.stage == stageQuery {
		resumable = s.openAfterName(chunk)
	} else if s.ctes != 0 && s.token == tokenOperand { // WITH … (SELECT …) ORDER BY …
		s.endCTEs()
	}
	s.depth++
	if s.depth < 64 {
		bit := uint64(1) << uint(s.depth)
		s.ctes &^= bit
		s.resumable &^= bit
		if resumable {
			s.resumable |= bit
		}
	}
	s.token = tokenOpen
	if s.stage < stageQuery {
		s.attend(nil)
	}
}

func (s *Scanner) close() {
	if s.config.depth != 0 && s.config.depth == s.depth {
		s.endConfig()
	}
	s.token = tokenOperand
	if s.depth >= 64 || s.resumable>>uint(s.depth)&1 != 0 {
		s.token = tokenDone
	}
	if s.depth > 0 {
		s.depth--
	}
	if s.stage < stageQuery {
		s.attend(nil)
	}
}

func (s *Scanner) semicolon() {
	if s.depth > 0 || s.atomic > 0 {
		s.token = tokenOperator
		return
	}
	s.endStatement()
}

// endStatement joins the statement's effects to those of the text.
func (s *Scanner) endStatement() {
	if s.config.depth != 0 { // cut off
		s.current |= Set
	}
	s.effect |= s.current
	if s.started && s.readable && !s.several {
		s.effect |= Read
	}
	s.current = 0
	s.clauses = clauses{nameAt: s.nameAt, nameEnd: s.nameEnd}
}

// total gives the effects of the whole text.
func (s *Scanner) total() Effect {
	const plain = Read | Volatile | SessionFunction
	if s.several {
		return s.effect&^Read | Multi
	}
	if s.effect&^plain != 0 {
		return s.effect &^ Read
	}
	return s.effect
}

// watchByte looks for pg_temp in the text of a string, where a setting may name
// it. No proper prefix of the name begins again inside of it.
func (s *Scanner) watchByte(c byte) {
	if !s.watch {
		return
	}
	switch lower(c) {
	case tempSchema[s.watched]:
		if s.watched++; int(s.watched) == len(tempSchema) {
			s.current |= Temp
			s.watched = 0
		}
	case 'p':
		s.watched = 1
	default:
		s.watched = 0
	}
}

func (s *Scanner) watchText(text []byte) {
	if s.watch {
		for _, c := range text {
			s.watchByte(c)
		}
	}
}
