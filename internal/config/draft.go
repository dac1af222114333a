package config

import "strings"

// draft is a config being written: values by path, as YAML, emitted in the
// table's order.
type draft struct {
	values map[string]string
	names  map[string][]string // of a named section, in order
	taken  map[string]bool     // paths of names
}

func newDraft() *draft {
	return &draft{values: map[string]string{}, names: map[string][]string{}, taken: map[string]bool{}}
}

// put sets the key at path to texts, as set would read them.
func (d *draft) put(path string, k *key, texts ...string) {
	if k.kind != kindList {
		d.values[path] = yamlValue(k, texts[0])
		return
	}
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = yamlText(t)
	}
	d.values[path] = "[" + strings.Join(quoted, ", ") + "]"
}

func yamlValue(k *key, text string) string {
	if k.kind == kindText {
		return yamlText(text)
	}
	return text
}

// yamlText is a text as a YAML scalar that means the text itself.
func yamlText(text string) string {
	return quoteText(strings.ReplaceAll(text, "${", "$${"))
}

// name adds a name to a named section and returns its path.
func (d *draft) name(section, name string) string {
	path := join(section, name)
	if !d.taken[path] {
		d.taken[path] = true
		d.names[section] = append(d.names[section], name)
	}
	return path
}

// yaml writes the draft; sections without a value are left out.
func (d *draft) yaml() string {
	var b strings.Builder
	d.section(&b, table(), "", "")
	return b.String()
}

func (d *draft) section(b *strings.Builder, keys []key, path, indent string) {
	for i := range keys {
		k := &keys[i]
		at := join(path, k.name)
		switch k.kind {
		case kindSection:
			var inner strings.Builder
			d.section(&inner, k.keys, at, indent+"  ")
			if inner.Len() > 0 {
				b.WriteString(indent + k.name + ":\n" + inner.String())
			}
		case kindNamed:
			d.named(b, k, at)
		default:
			if v, ok := d.values[at]; ok {
				b.WriteString(indent + k.name + ": " + v + "\n")
			}
		}
	}
}

func (d *draft) named(b *strings.Builder, k *key, path string) {
	names, given := d.names[path]
	switch {
	case !given:
		return
	case len(names) == 0:
		b.WriteString(k.name + ": {}\n")
		return
	}
	b.WriteString(k.name + ":\n")
	for _, name := range names {
		var inner strings.Builder
		d.section(&inner, k.keys, join(path, name), "    ")
		b.WriteString("  " + quoteText(name) + ":")
		if inner.Len() == 0 {
			b.WriteString(" {}")
		}
		b.WriteString("\n" + inner.String())
	}
}
