package statement

import "bytes"

// maxTags bounds the comment in which tags are looked for, in bytes.
const maxTags = 4096

// Tag looks for key in the sqlcommenter comment of a text, /*key='value',…*/,
// which stands before or behind the statement, and appends its decoded value to
// dst. The comment behind wins. Without such a key dst comes back as it was.
func Tag(dst, text []byte, key string) (value []byte, ok bool) {
	if !bytes.Contains(text, []byte("/*")) {
		return dst, false
	}
	if comment, found := lastComment(text); found {
		if dst, ok = appendTag(dst, comment, key); ok {
			return dst, true
		}
	}
	if comment, found := firstComment(text); found {
		return appendTag(dst, comment, key)
	}
	return dst, false
}

// firstComment gives what is inside of the comment that the text begins with.
func firstComment(text []byte) ([]byte, bool) {
	text = text[:min(len(text), maxTags)]
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(text, " \t\r\n\f\v"), []byte("/*"))
	if !ok {
		return nil, false
	}
	n := bytes.Index(rest, []byte("*/"))
	if n < 0 {
		return nil, false
	}
	return rest[:n], true
}

// lastComment gives what is inside of the comment that the text ends with.
func lastComment(text []byte) ([]byte, bool) {
	text = text[max(0, len(text)-maxTags):]
	rest, ok := bytes.CutSuffix(bytes.TrimRight(text, "; \t\r\n\f\v\x00"), []byte("*/"))
	if !ok {
		return nil, false
	}
	n := bytes.LastIndex(rest, []byte("/*"))
	if n < 0 {
		return nil, false
	}
	return rest[n+2:], true
}

// appendTag reads key='value' pairs up to the one of the key. Inside of a value
// a quote is written \' and other bytes may be written %41.
func appendTag(dst, comment []byte, key string) ([]byte, bool) {
	start := len(dst)
	for {
		comment = bytes.TrimLeft(comment, ", \t\r\n")
		name, rest, ok := bytes.Cut(comment, []byte("='"))
		if !ok {
			return dst, false
		}
		dst, rest, ok = appendValue(dst, rest)
		if !ok {
			return dst[:start], false
		}
		if string(name) == key {
			return dst, true
		}
		dst, comment = dst[:start], rest
	}
}

// appendValue decodes a value up to its closing quote.
func appendValue(dst, text []byte) (value, rest []byte, ok bool) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			return dst, text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			dst = append(dst, text[i])
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			dst = append(dst, unhex(text[i+1])<<4|unhex(text[i+2]))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst, nil, false
}

func isHex(c byte) bool { return c-'0' < 10 || lower(c)-'a' < 6 }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}
