package config

import (
	"fmt"
	"strings"

	"spillway/internal/config/fault"
)

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
