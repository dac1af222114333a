package statement

// MaxPrint bounds how much of a text its fingerprint is taken of, in bytes:
// texts that are the same up to there have the same one. It bounds what the
// fingerprint of a text of megabytes costs, and what must be kept of a text to
// tell its fingerprint later.
const MaxPrint = 4096

// Print is the fingerprint of the first MaxPrint bytes of a text. A zero byte
// at its end, as messages have it, is no part of it.
func Print(text []byte) uint64 {
	text = text[:min(len(text), MaxPrint)]
	if n := len(text); n > 0 && text[n-1] == 0 {
		text = text[:n-1]
	}
	var room [512]byte // holds what most statements come to
	print, _ := Fingerprint(room[:0], text, true)
	return print
}
