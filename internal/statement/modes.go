package statement

import "bytes"

// resume goes on in the token in which chunk[i:] begins and gives the place
// behind what it has read.
func (s *Scanner) resume(p []byte, i int) int {
	switch s.mode {
	case modeWord:
		return s.wordRest(p, i)
	case modeDash:
		return s.second(p, i, '-', modeLine)
	case modeSlash:
		s.level, s.last = 1, 0
		return s.second(p, i, '*', modeBlock)
	case modeLine:
		return s.lineRest(p, i, modeText)
	case modeBlock:
		return s.blockRest(p, i)
	case modeString:
		return s.stringRest(p, i)
	case modeEscape, modeBackslash:
		return s.escapeRest(p, i)
	case modeReopen, modeReopenDash, modeReopenLine:
		return s.reopen(p, i)
	case modeIdent, modeIdentEnd:
		return s.identRest(p, i)
	case modeDollar, modeParameter, modeTag:
		return s.dollar(p, i)
	case modeDollarText:
		return s.dollarRest(p, i)
	default: // modeLost, modeNul
		return len(p)
	}
}

// wordRest adds to a word that may go on in the next chunk.
func (s *Scanner) wordRest(p []byte, i int) int {
	for i < len(p) && classOf[p[i]] <= classDollar {
		s.addName(p[i])
		i++
	}
	if i == len(p) {
		return i
	}
	s.mode = modeText
	if p[i] == '\'' && s.nameLen == 1 && s.opens(s.name[0]) {
		return i + 1
	}
	s.word(s.name[:], 0, int(s.nameLen))
	return i
}

// second looks at the byte after one that may begin a comment.
func (s *Scanner) second(p []byte, i int, want byte, then mode) int {
	if p[i] == want {
		s.mode = then
		return i + 1
	}
	s.mode = modeText
	s.operator()
	return i
}

// lineRest skips to the end of a -- comment.
func (s *Scanner) lineRest(p []byte, i int, then mode) int {
	for ; i < len(p); i++ {
		switch p[i] {
		case '\n', '\r':
			s.mode = then
			return i // the newline is for the next mode
		case 0:
			s.mode = modeNul
			return len(p)
		}
	}
	return i
}

func (s *Scanner) blockRest(p []byte, i int) int {
	for ; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '/' && s.last == '*':
			s.last = 0
			if s.level--; s.level == 0 {
				s.mode = modeText
				return i + 1
			}
		case c == '*' && s.last == '/':
			s.last = 0
			s.level++
		case c == 0:
			s.unfinished()
			return len(p)
		default:
			s.last = c
		}
	}
	return i
}

// unfinished ends the text inside a token.
func (s *Scanner) unfinished() {
	s.current |= Opaque
	s.mode = modeNul
}

func (s *Scanner) stringRest(p []byte, i int) int {
	n := bytes.IndexByte(p[i:], '\'')
	text := p[i:]
	if n >= 0 {
		text = p[i : i+n]
	}
	if bytes.IndexByte(text, 0) >= 0 {
		s.unfinished()
		return len(p)
	}
	s.watchText(text)
	if n < 0 {
		return len(p)
	}
	s.mode = modeText
	return i + n + 1
}

func (s *Scanner) escapeRest(p []byte, i int) int {
	for ; i < len(p); i++ {
		c := p[i]
		s.watchByte(c)
		switch {
		case c == 0:
			s.unfinished()
			return len(p)
		case s.mode == modeBackslash:
			s.mode = modeEscape
		case c == '\\' && !s.verbatim:
			s.mode = modeBackslash
			if s.watch { // the escapes may spell anything
				s.current |= Temp
			}
		case c == '\'':
			s.mode = modeReopen
			s.newline = false
			s.last = '\''
			return i + 1
		}
	}
	return i
}

// reopen reads what may stand between two parts of one string with escapes: a
// second quote at once (a doubled quote, but not in x'…' and b'…'), or white
// space with a newline, and -- comments, before a quote.
func (s *Scanner) reopen(p []byte, i int) int {
	if s.mode == modeReopenLine {
		return s.lineRest(p, i, modeReopen)
	}
	for ; i < len(p); i++ {
		c := p[i]
		adjacent := s.last == '\''
		s.last = 0
		switch {
		case s.mode == modeReopenDash && c == '-':
			s.mode = modeReopenLine
			return i + 1
		case s.mode == modeReopenDash:
			s.mode = modeText
			s.operator()
			return i
		case c == '\'' && (adjacent && !s.verbatim || s.newline):
			s.mode = modeEscape
			return i + 1
		case c == '\n' || c == '\r':
			s.newline = true
		case c == '-':
			s.mode = modeReopenDash
		case classOf[c] != classSpace:
			s.mode = modeText
			return i
		}
	}
	return i
}

func (s *Scanner) identRest(p []byte, i int) int {
	for ; i < len(p); i++ {
		c := p[i]
		switch {
		case s.mode == modeIdentEnd && c == '"':
			s.mode = modeIdent
			s.addName(c)
		case s.mode == modeIdentEnd:
			s.mode = modeText
			s.quoted(s.name[:s.nameLen])
			return i
		case c == '"':
			s.mode = modeIdentEnd
		case c == 0:
			s.unfinished()
			return len(p)
		default:
			s.addName(c)
		}
	}
	return i
}

// dollar reads $1 and the opening tag of a dollar-quoted string.
func (s *Scanner) dollar(p []byte, i int) int {
	for ; i < len(p); i++ {
		c := p[i]
		class := classOf[c]
		switch {
		case s.mode == modeParameter && class == classDigit:
		case s.mode == modeParameter:
			s.mode = modeText
			return i
		case s.mode == modeDollar && class == classDigit:
			s.operand()
			s.mode = modeParameter
		case class == classDollar:
			s.openDollar()
			return i + 1
		case class <= classDigit:
			if s.mode == modeDollar {
				s.tagLen = 1
				s.mode = modeTag
			}
			if int(s.tagLen) > maxName {
				s.current |= Opaque
				s.mode = modeLost
				return len(p)
			}
			s.tag[s.tagLen] = c
			s.tagLen++
		default: // a lone '$' is an error
			s.current |= Opaque
			s.mode = modeText
			return i
		}
	}
	return i
}

func (s *Scanner) openDollar() {
	if s.mode == modeDollar {
		s.tagLen = 1
	}
	s.tag[0] = '$'
	s.tag[s.tagLen] = '$'
	s.tagLen++
	s.match = 0
	s.operand()
	s.mode = modeDollarText
}

// dollarRest looks for the closing tag; match is how much of it has been seen.
func (s *Scanner) dollarRest(p []byte, i int) int {
	for i < len(p) {
		if s.match == 0 && !s.watch {
			n := bytes.IndexByte(p[i:], '$')
			text := p[i:]
			if n >= 0 {
				text = p[i : i+n]
			}
			if bytes.IndexByte(text, 0) >= 0 {
				s.unfinished()
				return len(p)
			}
			if n < 0 {
				return len(p)
			}
			i += n
		}
		c := p[i]
		i++
		s.watchByte(c)
		switch {
		case c == 0:
			s.unfinished()
			return len(p)
		case c == s.tag[s.match]:
			if s.match++; s.match == s.tagLen {
				s.mode = modeText
				return i
			}
		case c == '$':
			s.match = 1
		default:
			s.match = 0
		}
	}
	return i
}
