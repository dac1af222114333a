package config

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"spillway/internal/config/fault"
)

// With is this config with one setting changed, as SET of the console asks.
// name is PgBouncer's name, its value in PgBouncer's units, or the path of a
// key under no name of the user's choice (timeouts.queue), its value as in the
// file. The receiver stays as it is; a later Load knows nothing of the change.
// Nothing is returned with an error, whose text quotes no secret.
func (c *Config) With(name, value string) (*Config, error) {
	path, texts, err := settable(name, value)
	if err != nil {
		return nil, err
	}
	set := maps.Clone(c.origin.set)
	if set == nil {
		set = map[string][]string{}
	}
	set[path] = texts
	next, problems := parseAll(input{name: c.origin.name(), text: c.origin.text, env: c.origin.env, set: set})
	failures, warnings := problems.Split()
	if len(failures) > 0 {
		return nil, failures
	}
	next.warnings = warnings
	return next, nil
}

// settable finds the key a setting's name means and reads its value.
func settable(name, value string) (path string, texts []string, err error) {
	for _, pass := range []func(string, *key) bool{
		func(p string, _ *key) bool { return p == name },
		func(_ string, k *key) bool { return isPeer(k, name) },
	} {
		var found *key
		walk(table(), "", func(p string, k *key) {
			if found == nil && k.kind != kindSection && k.kind != kindNamed && !strings.Contains(p, ".NAME.") && pass(p, k) {
				found, path = k, p
			}
		})
		if found != nil {
			return path, texts, readSetting(found, name, value, path, &texts)
		}
	}
	return "", nil, fmt.Errorf("unknown setting %s", quoteKey(name))
}

func isPeer(k *key, name string) bool {
	for _, p := range strings.Split(k.peer, ", ") {
		if p == name {
			return true
		}
	}
	return false
}

func readSetting(k *key, name, value, path string, into *[]string) error {
	switch {
	case k.restart:
		return fmt.Errorf("%s cannot change without a restart", name)
	case name == "tcp_keepalive":
		return fmt.Errorf("%s is a duration here: set tcp_keepidle in seconds, 0 for never", name)
	case name == path && k.kind != kindList:
		*into = []string{value}
		return nil
	}
	texts, err := fromPeer(k, value)
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	*into = texts
	return nil
}

// apply lays the settings made by With over what the file says.
func (c *Config) apply(set map[string][]string, src *fault.Source) (problems fault.List) {
	for _, path := range sortedKeys(set) {
		k, owner := c.lookup(path)
		if k == nil {
			continue
		}
		err := k.set(owner, set[path]...)
		if err == nil {
			continue
		}
		p := src.Problem(fault.Place{}, path+": "+err.Error())
		var bad *complaint
		if errors.As(err, &bad) {
			p.Mend = bad.mend
		}
		problems = append(problems, p)
	}
	return problems
}

// lookup finds a key outside named sections, and what holds its field.
func (c *Config) lookup(path string) (*key, any) {
	keys, owner := table(), any(c)
	for {
		name, rest, deeper := strings.Cut(path, ".")
		k := find(keys, name)
		if k == nil || deeper != (k.kind == kindSection) {
			return nil, nil
		}
		if !deeper {
			return k, owner
		}
		keys, owner, path = k.keys, k.at(owner), rest
	}
}
