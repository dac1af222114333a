package statement

import "encoding/binary"

// token is what the scanner remembers of a token: its kind, and for a key word
// which one it is and its flags.
type token uint32

const (
	tokenNone     token = iota // the beginning of a statement
	tokenName                  // a word, key word or not
	tokenQuoted                // "a quoted name"
	tokenOperand               // a literal, a parameter, ')' or ']'
	tokenOpen                  // '('
	tokenComma                 // ','
	tokenOperator              // an operator or another sign
	tokenCast                  // '::'
	tokenDot                   // '.'
	tokenDone                  // ')' after which an expression may begin
)

func (t token) kind() token   { return t & 0xff }
func (t token) word() keyword { return keyword(t >> 8) }
func (t token) flags() uint8  { return uint8(t >> 16) }

const heededToken = wordHeeded << 16

// wordToken gives the token of the word text[at:end].
func wordToken(text []byte, at, end int) token {
	var head, tail uint64
	n := end - at
	if at+8 > len(text) {
		head, tail = wordKey(text[at:end])
	} else {
		head = binary.LittleEndian.Uint64(text[at:])
		if n < 8 {
			head &= 1<<(8*uint(n)&63) - 1
		} else if n > 8 {
			tail = binary.LittleEndian.Uint64(text[end-8:]) | fold8
		}
		head |= fold8
	}
	slot := wordSlots[wordHash(head, tail, n, wordBits)]
	if slot == 0 {
		return tokenName
	}
	if e := findEntry(slot, head, tail, text[at:end]); e != nil {
		return e.token
	}
	return tokenName
}

// isKeyword says whether t is the unquoted key word k.
func (t token) isKeyword(k keyword) bool { return t.kind() == tokenName && t.word() == k }

// endsOperand says whether t ends an operand for certain, so that a name after
// it is an alias and not called. Of words only those count that are no key
// words.
func (t token) endsOperand() bool {
	return t == tokenName || t == tokenQuoted || t == tokenOperand
}

// qualifier is what stands before the last dot of a name.
type qualifier uint8

const (
	qualifierNone qualifier = iota
	qualifierCatalog
	qualifierOther
)

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
