package config

import (
	"maps"
	"reflect"
	"slices"
)

// Diff names what differs between two configs, sorted: paths of keys, names
// that came or went, and keys whose file holds something else now.
// needRestart is the part of changed that a reload cannot bring about. No
// value is told.
func Diff(before, after *Config) (changed, needRestart []string) {
	d := &differ{all: map[string]bool{}}
	d.keys(table(), before, after, "")
	for _, path := range slices.Sorted(maps.Keys(before.loaded.contents)) {
		if now, ok := after.loaded.contents[path]; ok && now != before.loaded.contents[path] {
			if _, listed := d.all[path]; !listed {
				d.all[path] = false
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(d.all)) {
		changed = append(changed, path)
		if d.all[path] {
			needRestart = append(needRestart, path)
		}
	}
	return changed, needRestart
}

type differ struct {
	all map[string]bool // path → needs a restart
}

func (d *differ) keys(keys []key, before, after any, path string) {
	for i := range keys {
		k := &keys[i]
		at := join(path, k.name)
		switch k.kind {
		case kindSection:
			d.keys(k.keys, k.at(before), k.at(after), at)
		case kindNamed:
			d.named(k, before, after, at)
		default:
			if !reflect.DeepEqual(k.at(before), k.at(after)) {
				d.all[at] = k.restart
			}
		}
	}
}

func (d *differ) named(k *key, before, after any, path string) {
	old, now := k.names(before), k.names(after)
	for _, name := range old {
		if _, both := slices.BinarySearch(now, name); both {
			d.keys(k.keys, k.child(before, name), k.child(after, name), join(path, name))
		} else {
			d.all[join(path, name)] = false
		}
	}
	for _, name := range now {
		if _, both := slices.BinarySearch(old, name); !both {
			d.all[join(path, name)] = false
		}
	}
}
