package config

import (
	"fmt"
)

// budget is how many connections pools may have on a server, 0 when only the
// server knows.
func (s *Server) budget() int {
	if s.MaxConnections == 0 {
		return 0
	}
	return max(s.MaxConnections-s.OperatorSlots, 0)
}

func (s *Server) arithmetic() string {
	if s.OperatorSlots == 0 {
		return fmt.Sprintf("%d", s.MaxConnections)
	}
	return fmt.Sprintf("%d − %d operator slots = %d", s.MaxConnections, s.OperatorSlots, s.budget())
}

func or(value, fallback int) int {
	if value == unset {
		return fallback
	}
	return value
}

func (c *Config) poolSize(d *Database) int    { return or(d.PoolSize, c.Pool.Size) }
func (c *Config) minPoolSize(d *Database) int { return or(d.MinPoolSize, c.Pool.Min) }
func (c *Config) reservePool(d *Database) int { return or(d.ReservePool, c.Pool.Reserve) }
func (c *Config) maxServers(d *Database) int {
	return or(d.MaxServers, c.Limits.MaxServersPerDatabase)
}

// checkPool holds one database's sizes against each other and the budget.
func (k *checker) checkPool(name string, d *Database) {
	path, c := join("databases", name), k.c
	size, low, reserve, most := c.poolSize(d), c.minPoolSize(d), c.reservePool(d), c.maxServers(d)
	if low > size {
		k.fail(k.nearer(join(path, "min_pool_size"), join(path, "pool_size"), "pool.min", "pool.size"), complaint{
			what: fmt.Sprintf("%s keeps %d servers and its pool has %d", path, low, size),
			why:  "the minimum could never be held",
			mend: fmt.Sprintf("min_pool_size: %d, or a larger pool_size", size),
		})
	}
	if most > 0 && size > most {
		k.warn(k.nearer(join(path, "pool_size"), join(path, "max_servers"), "pool.size", "limits.max_servers_per_database"), complaint{
			what: fmt.Sprintf("%s has a pool of %d and at most %d servers", path, size, most),
			mend: fmt.Sprintf("pool_size: %d, or a larger max_servers", most),
		})
	}
	s := c.Servers[d.Server]
	if s == nil || s.budget() == 0 {
		return
	}
	if size+reserve > s.budget() {
		k.fail(k.nearer(join(path, "pool_size"), join(path, "reserve_pool"), join(join("servers", d.Server), "max_connections")), complaint{
			what: fmt.Sprintf("%s wants %s and server %s has %s", path, sum(size, reserve), quoteKey(d.Server), s.arithmetic()),
			why:  "one pool alone would ask for more than there is",
			mend: fmt.Sprintf("pool_size: %d or less, or a higher max_connections", max(s.budget()-reserve, 1)),
		})
	}
}

// sum shows a pool's size and reserve.
func sum(size, reserve int) string {
	if reserve == 0 {
		return fmt.Sprintf("a pool of %d", size)
	}
	return fmt.Sprintf("a pool of %d + %d reserve = %d", size, reserve, size+reserve)
}

// nearer is the first of the paths that the file gives, else the first.
func (k *checker) nearer(paths ...string) string {
	for _, p := range paths {
		if k.given(p) {
			return p
		}
	}
	return paths[0]
}

// checkMinimums adds up what pools keep open on each server. A database has
// one pool at least; "*" may have any number and is left out.
func (k *checker) checkMinimums() {
	for _, server := range sortedKeys(k.c.Servers) {
		s := k.c.Servers[server]
		total, terms := 0, ""
		for _, name := range sortedKeys(k.c.Databases) {
			d := k.c.Databases[name]
			low := k.c.minPoolSize(d)
			if d.Server != server || name == "*" || low == 0 {
				continue
			}
			total += low
			if len(terms) < 200 {
				terms += fmt.Sprintf(" + %d (%s)", low, quoteKey(name))
			}
		}
		if s.budget() > 0 && total > s.budget() {
			k.fail(join(join("servers", server), "max_connections"), complaint{
				what: fmt.Sprintf("minimum pool sizes add up to %d%s, and server %s has %s", total, " ="+terms[2:], quoteKey(server), s.arithmetic()),
				why:  "pools would close each other's servers without end",
				mend: "lower min_pool_size, or raise max_connections",
			})
		}
	}
}
