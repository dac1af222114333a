package config

import (
	"errors"
	"fmt"

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

func (d *decoder) markBroken(path string) {
	s := d.origin.spans[path]
	s.broken = true
	d.origin.spans[path] = s
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
		default:
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
