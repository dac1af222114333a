package proxy

import (
	"maps"
	"sync"
)

// disables are the databases that DISABLE and ENABLE were said of. They hold
// over every policy to come, as in PgBouncer: a reload, or a pause of some
// workload, must not let clients in again.
type disables struct {
	mu sync.Mutex // guards said
	// said is by database; a verb without one goes for all that are named.
	said map[string]bool
}

func (d *disables) set(db string, disabled bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if db == "" || d.said == nil {
		d.said = map[string]bool{}
	}
	d.said[db] = disabled
}

// over is a policy with what was said laid over it; the policy itself stays.
func (d *disables) over(policy *Policy) *Policy {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.said) == 0 {
		return policy
	}
	p := *policy
	p.Databases = maps.Clone(policy.Databases)
	if p.Databases == nil {
		p.Databases = map[string]*Database{}
	}
	lay := func(name string, database *Database, disabled bool) {
		c := *database
		c.Name, c.Disabled = name, disabled
		p.Databases[name] = &c
	}
	if disabled, ok := d.said[""]; ok {
		for name, database := range policy.Databases {
			lay(name, database, disabled)
		}
	}
	for name, disabled := range d.said {
		switch {
		case name == "":
		case policy.Databases[name] != nil:
			lay(name, policy.Databases[name], disabled)
		case policy.AnyDatabase != nil:
			lay(name, policy.AnyDatabase, disabled)
		}
	}
	return &p
}
