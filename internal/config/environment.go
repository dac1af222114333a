package config

import (
	"fmt"
	"strings"
)

// reference is a text in which ${NAME} was replaced.
type reference struct{ value, raw string }

// scrub puts ${NAME} back wherever a message would show what it stands for.
// Values stand between other characters than letters and digits, so that a
// short one does not spoil every word.
func (o *origin) scrub(text string) string {
	for _, r := range o.refs {
		if r.value == "" || r.value == r.raw || !strings.Contains(text, r.value) {
			continue
		}
		var b strings.Builder
		rest, before := text, byte(0)
		for {
			i := strings.Index(rest, r.value)
			if i < 0 {
				break
			}
			if i > 0 {
				before = rest[i-1]
			}
			end := i + len(r.value)
			whole := !wordByte(before) && (end == len(rest) || !wordByte(rest[end]))
			b.WriteString(rest[:i])
			if whole || len(r.value) > 3 {
				b.WriteString(r.raw)
			} else {
				b.WriteString(r.value)
			}
			before, rest = rest[end-1], rest[end:]
		}
		b.WriteString(rest)
		text = b.String()
	}
	return text
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// expand replaces ${NAME} by the environment's value; $${ stands for ${.
func (d *decoder) expand(k *key, n *node, path string) (string, bool) {
	if k.kind != kindText && k.kind != kindList || !strings.Contains(n.text, "${") {
		return n.text, true
	}
	var b strings.Builder
	good, rest := true, n.text
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			break
		}
		if escaped, ok := strings.CutSuffix(b.String(), "$"); ok {
			b.Reset()
			b.WriteString(escaped + "${")
			rest = after
			continue
		}
		name, tail, closed := strings.Cut(after, "}")
		value, ok := d.lookup(name, closed, n)
		good = good && ok
		if ok {
			d.origin.refs = append(d.origin.refs, reference{value, "${" + name + "}"})
		}
		b.WriteString(value)
		rest = tail
		if b.Len() > longestText {
			break
		}
	}
	if strings.Contains(b.String(), "\x00") || b.Len() > longestText {
		d.report(n.place, fmt.Sprintf("%s has a value from the environment that does not fit", path), "", "")
		return "", false
	}
	s := d.origin.spans[path]
	s.refs = true
	d.origin.spans[path] = s
	d.origin.refs = append(d.origin.refs, reference{b.String(), n.text})
	return b.String(), good
}

func (d *decoder) lookup(name string, closed bool, n *node) (string, bool) {
	if !closed || !isVariable(name) {
		d.report(n.place, "a reference to the environment is not written ${NAME}", "", "write ${NAME}, or $${ for the characters themselves")
		return "", false
	}
	value, ok := d.env(name)
	if !ok {
		d.report(n.place, fmt.Sprintf("environment variable %s is not set", name), "", fmt.Sprintf("set %s where spillway is started, or use a file", name))
	}
	return value, ok
}

// longestText is the longest text with ${NAME} replaced.
const longestText = 64 << 10

func isVariable(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= 256
}
