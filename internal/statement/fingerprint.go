package statement

// Fingerprint names the shape of a text: texts that differ only in literals and
// parameters, in the length of lists of them, in comments, white space and the
// case of unquoted words have the same fingerprint. It does not change between
// runs. The normalised text is appended to dst; its own fingerprint is the
// same. The whole text is read: cut long ones before the call.
func Fingerprint(dst, text []byte, standardConformingStrings bool) (uint64, []byte) {
	start := len(dst)
	dst, _ = normalise(dst, text, standardConformingStrings, len(text)*2+2)
	return hash(dst[start:]), dst
}

// Redact appends the text without its literals, for showing to people, in at
// most limit bytes, the last of which are "…" if something is missing.
func Redact(dst, text []byte, standardConformingStrings bool, limit int) []byte {
	const more = "…"
	start := len(dst)
	dst, whole := normalise(dst, text, standardConformingStrings, max(limit, 0))
	if whole && len(dst)-start <= limit {
		return dst
	}
	if limit < len(more) {
		return dst[:start]
	}
	n := start + min(len(dst)-start, limit-len(more))
	for n > start && n < len(dst) && dst[n]&0xc0 == 0x80 { // not inside of a character
		n--
	}
	return append(dst[:n], more...)
}

// hash is FNV-1a.
func hash(text []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range text {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// piece is what a token is to the normalised text.
type piece uint8

const (
	pieceNone     piece = iota
	pieceWord           // a word or a quoted name
	pieceSyntax         // a word that is never a function's name
	pieceLiteral        // a literal or a parameter, printed as ?
	pieceOpen           // ( or [
	pieceClose          // ) or ]
	pieceTight          // : or .
	pieceComma          // ,
	pieceEnd            // ;
	pieceOperator       // any other sign
)

// normaliser prints one token after the other.
type normaliser struct {
	lexer
	dst   []byte
	start int // of the normalised text in dst
	limit int // of one token, in bytes

	last      piece
	sign      byte // the last token, if it is a sign
	end       int  // where the last token ended in the text
	negation  bool // the last word was IS or NOT
	minus     int  // where dst ended before a '-' that may be a literal's sign, or -1
	lastMinus piece
}

// normalise appends the normalised text to dst; it stops when more than limit
// bytes are printed and says whether it came to the end of the text.
func normalise(dst, text []byte, standardConformingStrings bool, limit int) ([]byte, bool) {
	n := normaliser{lexer: newLexer(text, standardConformingStrings), dst: dst, start: len(dst), limit: limit, minus: -1}
	for len(n.dst)-n.start <= limit {
		t := n.next()
		switch t.kind {
		case lexEnd:
			return n.finish(), true
		case lexBroken:
			n.literal()
			return n.finish(), true
		case lexString, lexNumber, lexParameter:
			n.literal()
		case lexWord:
			n.word(t.Of(n.text))
		case lexQuoted:
			n.quotedName(t.Of(n.text))
		case lexSign:
			n.signed(t)
		}
		n.end = t.End
	}
	return n.dst, false
}

// finish drops the semicolons at the end.
func (n *normaliser) finish() []byte {
	for n.last == pieceEnd && len(n.dst) > n.start && n.dst[len(n.dst)-1] == ';' {
		n.dst = n.dst[:len(n.dst)-1]
	}
	return n.dst
}

// word prints a word in lower case. TRUE, FALSE and NULL are literals where
// they are values.
func (n *normaliser) word(w []byte) {
	if !n.negation && n.last != pieceTight && (foldedEqual(w, "null") || foldedEqual(w, "true") || foldedEqual(w, "false")) {
		n.literal()
		return
	}
	kind := pieceWord
	if findWord(w).flags()&wordSyntax != 0 {
		kind = pieceSyntax
	}
	n.space(kind)
	for _, c := range w[:min(len(w), n.limit+1)] {
		n.dst = append(n.dst, lower(c))
	}
	n.set(kind)
	n.negation = foldedEqual(w, "is") || foldedEqual(w, "not")
}

// quotedName prints a name, without its quotes if it means the same.
func (n *normaliser) quotedName(w []byte) {
	n.space(pieceWord)
	if inner := w[1 : len(w)-1]; w[0] == '"' && isPlain(inner) {
		w = inner
	}
	n.dst = append(n.dst, w[:min(len(w), n.limit+1)]...)
	n.set(pieceWord)
}

// isPlain says whether a name reads the same without quotes.
func isPlain(w []byte) bool {
	if len(w) == 0 || classOf[w[0]] != classWord {
		return false
	}
	for _, c := range w {
		if classOf[c] > classDollar || c-'A' < 26 {
			return false
		}
	}
	return findWord(w) == tokenName
}

// literal prints '?', without the sign before it, or nothing if it goes on a
// list of literals.
func (n *normaliser) literal() {
	if n.minus >= 0 {
		n.dst = n.dst[:n.minus]
		n.last = n.lastMinus
	}
	n.space(pieceLiteral)
	n.dst = append(n.dst, '?')
	n.collapse("?, ?", 1)
	n.set(pieceLiteral)
}

// collapse shortens a repeated item at the end to its first keep bytes.
func (n *normaliser) collapse(repeated string, keep int) {
	at := len(n.dst) - len(repeated)
	if at >= n.start && string(n.dst[at:]) == repeated {
		n.dst = n.dst[:at+keep]
	}
}

func (n *normaliser) signed(t lexeme) {
	c := n.text[t.Start]
	adjacent := n.last == pieceOperator && n.end == t.Start
	kind := signPiece(c)
	if c == '?' && !adjacent && !n.operatorAt(t.End) {
		n.literal() // somebody's placeholder, or a text that is normalised already
		return
	}
	mark, before := -1, n.last
	if c == '-' && n.mayBeSign() {
		mark = len(n.dst)
	}
	if kind != pieceOperator || !adjacent {
		n.space(kind)
	}
	n.dst = append(n.dst, c)
	if c == ')' {
		n.collapse("(?), (?)", len("(?)"))
	}
	n.set(kind)
	n.sign, n.minus, n.lastMinus = c, mark, before
}

// operatorAt says whether an operator, and no comment, stands at i.
func (n *normaliser) operatorAt(i int) bool {
	if i == len(n.text) || signPiece(n.text[i]) != pieceOperator {
		return false
	}
	if i+1 < len(n.text) {
		if two := string(n.text[i : i+2]); two == "--" || two == "/*" {
			return false
		}
	}
	return true
}

// mayBeSign says whether a '-' after the last token is the sign of a number and
// takes no second operand.
func (n *normaliser) mayBeSign() bool {
	switch n.last {
	case pieceNone, pieceSyntax, pieceOpen, pieceComma:
		return true
	case pieceOperator:
		return n.sign != '-' && n.sign != '?'
	}
	return false
}

// signPiece is the piece of a sign. Letters and space are not operators.
func signPiece(c byte) piece {
	switch c {
	case '(', '[':
		return pieceOpen
	case ')', ']':
		return pieceClose
	case '.', ':':
		return pieceTight
	case ',':
		return pieceComma
	case ';':
		return pieceEnd
	case '~', '!', '@', '#', '^', '&', '|', '`', '?', '+', '-', '*', '/', '%', '<', '>', '=':
		return pieceOperator
	}
	return pieceNone
}

// space prints a space if there is to be one before a token of the kind.
func (n *normaliser) space(kind piece) {
	if len(n.dst) == n.start || n.last == pieceOpen || n.last == pieceTight {
		return
	}
	switch kind {
	case pieceClose, pieceTight, pieceComma, pieceEnd:
		return
	case pieceOpen:
		if n.last == pieceWord {
			return
		}
	}
	n.dst = append(n.dst, ' ')
}

func (n *normaliser) set(kind piece) {
	n.last, n.sign, n.negation, n.minus = kind, 0, false, -1
}
