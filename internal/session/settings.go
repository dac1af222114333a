package session

import (
	"sort"
	"strings"
	"unique"
)

// reported are the settings a client may change that a server reports by
// itself; the index is the slot in values. Servers that do not report one
// (search_path before PostgreSQL 18) leave its slot empty.
var reported = [...]string{
	"client_encoding", "DateStyle", "TimeZone", "IntervalStyle", "application_name",
	"standard_conforming_strings", "search_path", "default_transaction_read_only",
	"scram_iterations",
}

type values struct {
	slots [len(reported)]string
	extra string // "name\0value\0…" sorted by name: settings followed by asking
}

// Settings is an immutable, interned set of session settings: equal sets
// compare equal with ==, and the zero value is the empty set.
type Settings struct{ h unique.Handle[values] }

func (s Settings) values() values {
	if s == (Settings{}) {
		return values{}
	}
	return s.h.Value()
}

func slotOf(name string) int {
	for i, r := range reported {
		if strings.EqualFold(r, name) {
			return i
		}
	}
	return -1
}

// Reported tells whether servers report changes of the setting by themselves.
func Reported(name string) bool { return slotOf(name) >= 0 }

// With returns s with one reported setting changed; unknown names are ignored.
func (s Settings) With(name, value string) Settings {
	i := slotOf(name)
	if i < 0 {
		return s
	}
	v := s.values()
	if v.slots[i] == value && s != (Settings{}) {
		return s
	}
	v.slots[i] = value
	return Settings{unique.Make(v)}
}

// Get returns a setting's value; "" when it is not known.
func (s Settings) Get(name string) string {
	v := s.values()
	if i := slotOf(name); i >= 0 && v.slots[i] != "" {
		return v.slots[i]
	}
	value, _ := v.lookup(name)
	return value
}

func (v *values) lookup(name string) (string, bool) {
	for _, p := range pairs(v.extra) {
		if strings.EqualFold(p[0], name) {
			return p[1], true
		}
	}
	return "", false
}

// WithExtra returns s with a setting that servers do not report.
func (s Settings) WithExtra(name, value string) Settings {
	v := s.values()
	list := pairs(v.extra)
	at := sort.Search(len(list), func(i int) bool { return list[i][0] >= name })
	if at < len(list) && list[at][0] == name {
		list[at][1] = value
	} else {
		list = append(list, [2]string{})
		copy(list[at+1:], list[at:])
		list[at] = [2]string{name, value}
	}
	v.extra = join(list)
	return Settings{unique.Make(v)}
}

// withExtras replaces all settings followed by asking.
func (s Settings) withExtras(extra string) Settings {
	v := s.values()
	if v.extra == extra {
		return s
	}
	v.extra = extra
	return Settings{unique.Make(v)}
}

// changedSince returns base with what differs between then and s.
func (s Settings) changedSince(then, base Settings) Settings {
	if s == then {
		return base
	}
	v, old, merged := s.values(), then.values(), base.values()
	for i := range v.slots {
		if v.slots[i] != old.slots[i] {
			merged.slots[i] = v.slots[i]
		}
	}
	out := Settings{unique.Make(merged)}
	for _, p := range pairs(v.extra) {
		out = out.WithExtra(p[0], p[1])
	}
	return out
}

func pairs(extra string) [][2]string {
	var list [][2]string
	for extra != "" {
		name, rest, _ := strings.Cut(extra, "\x00")
		value, rest, _ := strings.Cut(rest, "\x00")
		list = append(list, [2]string{name, value})
		extra = rest
	}
	return list
}

func join(list [][2]string) string {
	var b strings.Builder
	for _, p := range list {
		b.WriteString(p[0])
		b.WriteByte(0)
		b.WriteString(p[1])
		b.WriteByte(0)
	}
	return b.String()
}

// change appends the statements that bring a server from have to want; ""
// when nothing differs.
func change(have, want Settings) string {
	if have == want {
		return ""
	}
	h, w := have.values(), want.values()
	var resets, sets strings.Builder
	for i, name := range reported {
		if w.slots[i] != h.slots[i] && (w.slots[i] != "" || name == "application_name") && knows(&h, i) {
			setConfig(&sets, name, w.slots[i])
		}
	}
	if w.extra != h.extra {
		for _, p := range pairs(h.extra) {
			if _, keep := w.lookup(p[0]); !keep {
				resets.WriteString("RESET " + quoteIdent(p[0]) + ";")
			}
		}
		for _, p := range pairs(w.extra) {
			if old, ok := h.lookup(p[0]); !ok || old != p[1] {
				setConfig(&sets, p[0], p[1])
			}
		}
	}
	if sets.Len() > 0 {
		resets.WriteString("SELECT " + sets.String())
	}
	return resets.String()
}

// knows tells whether the server reports slot i. All of them report
// application_name, whose value is empty by default.
func knows(h *values, i int) bool { return h.slots[i] != "" || reported[i] == "application_name" }

// setConfig uses set_config, which takes list settings such as search_path as
// they are reported; SET would quote them as one element.
func setConfig(b *strings.Builder, name, value string) {
	if b.Len() > 0 {
		b.WriteByte(',')
	}
	b.WriteString("pg_catalog.set_config(" + quoteLiteral(name) + "," + quoteLiteral(value) + ",false)")
}

// quoteLiteral gives an E-string, which reads the same whatever
// standard_conforming_strings says. Bytes beyond ASCII are written in hex: in
// some client encodings a backslash is the second byte of a character, and
// escaping it would open the string.
func quoteLiteral(s string) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, len(s)+3)
	b = append(b, 'E', '\'')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b = append(b, c, c)
		case c >= 0x80:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '\''))
}

// quoteIdent quotes each part of a possibly qualified setting name.
func quoteIdent(s string) string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(parts, ".")
}
