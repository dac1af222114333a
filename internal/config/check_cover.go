package config

import (
	"path"
	"strings"
)

// covers reports whether every client and statement that fits o fits m too, as
// far as the patterns tell: where it says no they may still.
func (m *Match) covers(o *Match) bool {
	return coversAll(m.User, o.User, globCovers) &&
		coversAll(m.Database, o.Database, globCovers) &&
		coversAll(m.ApplicationName, o.ApplicationName, globCovers) &&
		coversAll(m.Address, o.Address, networkCovers) &&
		coversAll(m.Tag, o.Tag, tagCovers)
}

// coversAll holds when each of the narrow values lies within a wide one. No wide
// value asks for nothing; no narrow one lets everything in.
func coversAll(wide, narrow []string, within func(wide, narrow string) bool) bool {
	if len(wide) == 0 {
		return true
	}
	for _, n := range narrow {
		found := false
		for _, w := range wide {
			found = found || within(w, n)
		}
		if !found {
			return false
		}
	}
	return len(narrow) > 0
}

// globCovers knows three shapes: the same pattern, a narrow one without any
// wildcard, and a wide one that is letters with a * at its end.
func globCovers(wide, narrow string) bool {
	if wide == narrow {
		return true
	}
	const wild = `*?[\`
	if !strings.ContainsAny(narrow, wild) {
		ok, _ := path.Match(wide, strings.ReplaceAll(narrow, "/", "\x00")) // a * fits a slash as well
		return ok
	}
	letters, open := strings.CutSuffix(wide, "*")
	return open && !strings.ContainsAny(letters, wild) && strings.HasPrefix(narrow, letters)
}

func networkCovers(wide, narrow string) bool {
	w, err := ParseNetwork(wide)
	n, wrong := ParseNetwork(narrow)
	if err != nil || wrong != nil {
		return false
	}
	if !w.IsValid() || !n.IsValid() {
		return w == n // unix sockets
	}
	return w.Bits() <= n.Bits() && w.Contains(n.Addr())
}

func tagCovers(wide, narrow string) bool {
	key, value, _ := strings.Cut(wide, "=")
	name, of, _ := strings.Cut(narrow, "=")
	return key == name && globCovers(value, of)
}
