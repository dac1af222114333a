package statement

// Lexical classes. Those up to classDollar may continue a word.
const (
	classWord uint8 = iota
	classDigit
	classDollar
	classSpace
	classQuote
	classIdent
	classDash
	classSlash
	classOpen
	classClose
	classComma
	classEnd
	classDot
	classColon
	classOperand
	classOther
	classNul
)

// mode is where in a token the last chunk ended.
type mode uint8

const (
	modeText       mode = iota // between tokens
	modeWord                   // in a word, kept in name
	modeDash                   // after one '-'
	modeSlash                  // after one '/'
	modeLine                   // in a -- comment
	modeBlock                  // in a /* comment
	modeString                 // in '…' without escapes
	modeEscape                 // in '…' with backslash escapes
	modeBackslash              // in such a string, after a backslash
	modeReopen                 // after such a string, which may go on
	modeReopenDash             // the same, after one '-'
	modeReopenLine             // the same, in a -- comment
	modeIdent                  // in "…"
	modeIdentEnd               // after the closing quote, which may be doubled
	modeDollar                 // after one '$'
	modeParameter              // in $1
	modeTag                    // in the opening $tag$
	modeDollarText             // in the text of a dollar-quoted string
	modeLost                   // unable to go on; the result says Opaque
	modeNul                    // after the end of the text
)

// Scanner reads a text in chunks and collects what it does to its session. The
// zero value reads a text with standard_conforming_strings on. It holds no
// reference to a chunk between calls and never allocates. It is not safe for
// concurrent use.
type Scanner struct {
	effect  Effect // of the statements before
	current Effect // of the statement being read

	trusted *Trusted

	mode      mode
	backslash bool // plain strings have backslash escapes
	verbatim  bool // modeEscape: this one has none all the same: x'…', b'…'
	started   bool // a statement has begun
	several   bool // a second one has
	newline   bool // modeReopen: a newline has been seen
	last      byte // modeBlock: the byte before, if it may begin or end a comment
	match     uint8
	tagLen    uint8
	level     int32 // nesting of block comments

	clauses
	name    [maxName + 1]byte
	nameLen uint8
	nameOdd bool // the name is longer than maxName or has escapes
	tag     [maxName + 2]byte
}

// maxName is the length of PostgreSQL's identifiers in bytes (NAMEDATALEN - 1).
const maxName = 63

// Scan gives the effects of a whole text. standardConformingStrings is the
// session's parameter of that name.
func Scan(text []byte, standardConformingStrings bool) Effect {
	var s Scanner
	s.backslash = !standardConformingStrings
	s.Feed(text)
	return s.Finish()
}

// Reset makes the scanner ready for a new text.
func (s *Scanner) Reset(standardConformingStrings bool) {
	*s = Scanner{backslash: !standardConformingStrings}
}

// Feed reads the next bytes of the text, cut at any place. A zero byte ends the
// text; what follows it is not read.
func (s *Scanner) Feed(chunk []byte) {
	for i := 0; i < len(chunk); {
		if s.mode == modeText {
			i = s.text(chunk, i)
		} else {
			i = s.resume(chunk, i)
		}
	}
	if s.nameEnd != 0 { // the last name lies in the chunk
		s.keepName(chunk[s.nameAt:s.nameEnd])
		s.nameEnd = 0
	}
}

// Finish gives the effects of the text. A text that ends inside a quote or a
// comment is Opaque. Call Reset before the next text.
func (s *Scanner) Finish() Effect {
	switch s.mode {
	case modeWord:
		s.word(s.name[:], 0, int(s.nameLen))
	case modeIdentEnd:
		s.quoted(s.name[:s.nameLen])
	case modeDash, modeSlash:
		s.operator()
	case modeText, modeLine, modeReopen, modeReopenDash, modeReopenLine, modeParameter, modeNul:
	default:
		s.current |= Opaque
	}
	s.endStatement()
	return s.total()
}

// text reads tokens from chunk[i:] until one is cut by the end of the chunk or
// needs a mode of its own, and gives the place to go on.
func (s *Scanner) text(p []byte, i int) int {
	for i < len(p) {
		switch classOf[p[i]] {
		case classSpace:
			i++
		case classWord:
			j := i + 1
			for j < len(p) && classOf[p[j]] <= classDollar {
				j++
			}
			if j == len(p) {
				s.nameLen, s.nameOdd, s.nameEnd = 0, false, 0
				s.mode = modeWord
				return s.wordRest(p, i)
			}
			if j == i+1 && p[j] == '\'' && s.opens(p[i]) {
				return j + 1
			}
			s.nameAt, s.nameEnd = i, j
			s.word(p, i, j)
			if i = j; p[i] == ' ' {
				i++
			}
		case classDigit:
			i++
			for i < len(p) && classOf[p[i]] == classDigit {
				i++
			}
			s.operand()
		case classOpen:
			s.open(p)
			i++
		case classClose:
			s.close()
			i++
		case classComma:
			s.comma()
			i++
		case classDot:
			s.dot(p)
			i++
		case classOperand:
			s.operand()
			i++
		case classOther, classColon:
			s.operatorByte(p[i])
			i++
		case classDash, classSlash:
			if i+1 == len(p) || p[i+1] == '-' || p[i+1] == '*' { // may be a comment
				return s.special(p, i)
			}
			s.operator()
			i++
		case classEnd:
			s.semicolon()
			i++
		case classQuote:
			if s.watch && s.token == tokenOperator && s.lastOperator == '&' { // may be U&'…'
				s.current |= Temp
			}
			s.operand()
			i++
			if s.backslash {
				s.mode, s.verbatim = modeEscape, false
				return i
			}
			s.mode = modeString
			if i = s.stringRest(p, i); s.mode != modeText {
				return i
			}
		case classIdent:
			n := s.wholeIdent(p[i+1:])
			if n < 0 {
				return s.special(p, i)
			}
			s.nameAt, s.nameEnd = i+1, i+1+n
			s.quoted(p[i+1 : i+1+n])
			i += n + 2
		default:
			return s.special(p, i)
		}
	}
	return i
}

// wholeIdent gives the length of the quoted name at the beginning of p if it
// can be taken from there as it is, and -1 otherwise.
func (s *Scanner) wholeIdent(p []byte) int {
	if s.token == tokenOperator && s.lastOperator == '&' { // may be U&"…"
		return -1
	}
	for i, c := range p {
		if c == '"' {
			if i+1 == len(p) || p[i+1] == '"' || i > maxName {
				return -1
			}
			return i
		}
		if c == 0 {
			break
		}
	}
	return -1
}

// special begins the tokens that have a mode of their own.
func (s *Scanner) special(p []byte, i int) int {
	switch classOf[p[i]] {
	case classIdent:
		s.mode = modeIdent
		s.nameLen, s.nameEnd = 0, 0
		s.nameOdd = s.token.kind() == tokenOperator && s.lastOperator == '&' // may be U&"…"
	case classDollar:
		s.mode = modeDollar
	case classDash:
		s.mode = modeDash
	case classSlash:
		s.mode = modeSlash
	default:
		s.mode = modeNul
		return len(p)
	}
	return i + 1
}

// opens reports whether the letter before a quote begins a string whose escapes
// are not those of a plain one, and begins it: e'…' has them always, x'…' and
// b'…' never.
func (s *Scanner) opens(letter byte) bool {
	switch letter | 0x20 {
	case 'e':
		s.verbatim = false
	case 'x', 'b':
		if !s.backslash {
			return false // read as a plain one
		}
		s.verbatim = true
	default:
		return false
	}
	s.operand()
	s.mode = modeEscape
	return true
}

// keepName copies a name, or what fits of it, from the chunk.
func (s *Scanner) keepName(w []byte) {
	s.nameOdd = len(w) > maxName
	s.nameLen = uint8(copy(s.name[:maxName], w))
}

// lastName gives the last name; chunk is the one being read.
func (s *Scanner) lastName(chunk []byte) []byte {
	if s.nameEnd != 0 {
		return chunk[s.nameAt:s.nameEnd]
	}
	return s.name[:s.nameLen]
}

// addName adds a byte to the name that is kept.
func (s *Scanner) addName(c byte) {
	if s.nameLen < maxName {
		s.name[s.nameLen] = c
		s.nameLen++
	} else {
		s.nameOdd = true
	}
}
