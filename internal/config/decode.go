package config

import (
	"errors"
	"fmt"
	"strings"

	"spillway/internal/config/fault"
)

// Most problems reported of one file; a file with more is not this file.
const maxProblems = 100

// span is where a key and its value stand.
type span struct {
	key, value fault.Place
	refs       bool // the value holds ${NAME}
	broken     bool // already reported
}

// spanOf points at the value, or at the key of what holds keys itself.
func spanOf(e entry) span {
	if e.value.shape == shapeMap || e.value.shape == shapeNull {
		return span{key: e.place, value: e.place}
	}
	return span{key: e.place, value: e.value.place}
}

// origin remembers where a Config comes from, by path (servers.main.url).
type origin struct {
	src   *fault.Source
	text  string
	env   func(string) (string, bool)
	set   map[string][]string // by With
	spans map[string]span
	refs  []reference
}

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

// decoder fills a Config from nodes by the table.
type decoder struct {
	reader
	env    func(string) (string, bool)
	origin origin
	order  int
	steps  int
}

// fill sets every key of a section: defaults first, then what the file says.
func (d *decoder) fill(keys []key, owner any, n *node, path string) {
	for i := range keys {
		d.fillDefault(&keys[i], owner)
	}
	if n == nil {
		return
	}
	for _, e := range n.entries {
		if d.steps++; d.steps > maxNodes || len(d.problems) >= maxProblems {
			return
		}
		k := find(keys, e.name)
		if k == nil {
			d.unknown(keys, e, path)
			continue
		}
		d.key(k, owner, e, join(path, e.name))
	}
}

func (d *decoder) fillDefault(k *key, owner any) {
	switch k.kind {
	case kindSection:
		d.fill(k.keys, k.at(owner), nil, "")
	case kindNamed:
	default:
		k.setDefault(owner)
	}
}

func (d *decoder) key(k *key, owner any, e entry, path string) {
	d.origin.spans[path] = spanOf(e)
	if e.value.broken {
		d.markBroken(path)
		return
	}
	switch k.kind {
	case kindSection:
		if d.wantMap(k, e) {
			d.fill(k.keys, k.at(owner), e.value, path)
		}
	case kindNamed:
		if d.wantMap(k, e) {
			d.children(k, owner, e.value, path)
		}
	default:
		d.value(k, owner, e, path)
	}
}

// children decodes a section per name.
func (d *decoder) children(k *key, owner any, n *node, path string) {
	for _, e := range n.entries {
		sub := join(path, e.name)
		d.origin.spans[sub] = spanOf(e)
		if e.name == "" || len(e.name) > 256 {
			d.report(e.place, fmt.Sprintf("a name under %s is empty or longer than 256 bytes", k.name), "", "give it a short name")
			continue
		}
		child := k.child(owner, e.name)
		if w, ok := child.(*Workload); ok {
			w.Order = d.order
			d.order++
		}
		if d.wantMap(k, e) {
			d.fill(k.keys, child, e.value, sub)
		} else {
			d.fill(k.keys, child, nil, sub)
		}
		if d.steps > maxNodes || len(d.problems) >= maxProblems {
			return
		}
	}
}

// wantMap reports whether the entry holds keys; nothing at all will do too.
func (d *decoder) wantMap(k *key, e entry) bool {
	if e.value.shape == shapeMap || e.value.shape == shapeNull {
		return true
	}
	mend := fmt.Sprintf("put its keys on the lines below, indented, or in braces: %s: {%s: …}", quoteKey(e.name), k.keys[0].name)
	if k.kind == kindNamed && e.name == k.name {
		mend = fmt.Sprintf("put a name below it, and its keys below that: %s: {main: {%s: …}}", k.name, k.keys[0].name)
	}
	d.report(e.value.place, fmt.Sprintf("%s holds %s, not keys", quoteKey(e.name), e.value.shape), "", mend)
	return false
}

func (s shape) String() string {
	switch s {
	case shapeScalar:
		return "a value"
	case shapeList:
		return "a list"
	case shapeMap:
		return "keys"
	default:
		return "nothing"
	}
}

func (d *decoder) value(k *key, owner any, e entry, path string) {
	texts, ok := d.texts(k, e, path)
	if !ok {
		d.markBroken(path)
		return
	}
	err := k.set(owner, texts...)
	if err == nil {
		return
	}
	d.markBroken(path)
	p := d.origin.src.Problem(e.value.place, err.Error())
	var c *complaint
	if errors.As(err, &c) {
		p.What, p.Why, p.Mend = c.what, c.why, c.mend
	}
	if d.origin.spans[path].refs {
		p.What = fmt.Sprintf("%s has a value from the environment that does not fit", k.name)
	}
	p.What = pathOf(path) + p.What
	d.problems = append(d.problems, p)
}

// pathOf names a nested key before a message about its value.
func pathOf(path string) string { return path + ": " }

// texts are the scalar or scalars of a value, environment references replaced.
func (d *decoder) texts(k *key, e entry, path string) ([]string, bool) {
	n := e.value
	switch {
	case n.shape == shapeNull:
		mend := "write a value, or leave the key out"
		if k.def != "" {
			mend += " for " + k.def
		}
		d.report(e.place, fmt.Sprintf("%s has no value", path), "", mend)
		return nil, false
	case k.kind == kindList && n.shape == shapeList:
		return d.listTexts(k, n, path)
	case n.shape != shapeScalar:
		d.report(n.place, fmt.Sprintf("%s holds %s, not a single value", path, n.shape), "", "write one value")
		return nil, false
	}
	text, ok := d.expand(k, n, path)
	return []string{text}, ok
}

func (d *decoder) listTexts(k *key, n *node, path string) ([]string, bool) {
	texts, good := make([]string, 0, len(n.items)), true
	for _, item := range n.items {
		if d.steps++; d.steps > maxNodes {
			return nil, false
		}
		if item.shape != shapeScalar {
			d.report(item.place, fmt.Sprintf("%s holds %s among its values", path, item.shape), "", "write a list of single values: [a, b]")
			good = false
			continue
		}
		text, ok := d.expand(k, item, path)
		texts, good = append(texts, text), good && ok
	}
	return texts, good
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

func (d *decoder) markBroken(path string) {
	s := d.origin.spans[path]
	s.broken = true
	d.origin.spans[path] = s
}

func (d *decoder) unknown(keys []key, e entry, path string) {
	where := "spillway.yaml"
	if path != "" {
		where = path
	}
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = keys[i].name
	}
	p := d.origin.src.Problem(e.place, fmt.Sprintf("unknown key %s in %s", quoteKey(e.name), where))
	p.Why = "a key that is not understood would be silently without effect"
	p.Mend = "keys here are " + strings.Join(names, ", ")
	if near := fault.Nearest(e.name, names); near != "" {
		p.Mend = "did you mean " + near + "?"
		if k := find(keys, near); k.secret {
			p.Source = hideValue(p.Source, e) // likely the secret
		}
	} else if home := homeOf(e.name); home != "" {
		p.Mend = fmt.Sprintf("that is %s", home)
	}
	d.problems = append(d.problems, p)
}

// hideValue masks an entry's value in its line.
func hideValue(line string, e entry) string {
	if e.value.place.Line != e.place.Line {
		return line
	}
	return fault.MaskSpan(line, e.value.place)
}

// homeOf is where a key of that name, or PgBouncer's setting of that name,
// lives in the table; "" when nowhere.
func homeOf(name string) string {
	var byName, byPeer string
	walk(table(), "", func(path string, k *key) {
		if k.name == name && byName == "" {
			byName = path
		}
		for _, peer := range strings.Split(k.peer, ", ") {
			if peer == name && byPeer == "" {
				byPeer = path
			}
		}
	})
	if byName != "" {
		return byName
	}
	return byPeer
}

// walk visits every key with its path; names of the user's choice are NAME.
func walk(keys []key, path string, visit func(path string, k *key)) {
	for i := range keys {
		k := &keys[i]
		p := join(path, k.name)
		visit(p, k)
		switch k.kind {
		case kindSection:
			walk(k.keys, p, visit)
		case kindNamed:
			walk(k.keys, join(p, "NAME"), visit)
		}
	}
}

func find(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return quoteKey(name)
	}
	return path + "." + quoteKey(name)
}
