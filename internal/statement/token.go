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

func (t token) kind() token { return t & 0xff }

func (t token) word() keyword { return keyword(t >> 8) }

func (t token) flags() uint8 { return uint8(t >> 16) }

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
