package config

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"

	"spillway/internal/config/fault"
)

// checker finds what the table cannot: values that do not fit together, and
// files that cannot be read. It completes the Config as it goes.
type checker struct {
	c        *Config
	dir      string // of the config file
	blind    bool   // read no file
	problems fault.List
}

// fail reports a problem with the value at path, or at the nearest key above
// it when the value is a default. What was reported before stays unsaid.
func (k *checker) fail(path string, c complaint) { k.report(path, c, false) }

// warn reports what works but is probably not meant.
func (k *checker) warn(path string, c complaint) { k.report(path, c, true) }

func (k *checker) report(path string, c complaint, warning bool) {
	if k.broken(path) || len(k.problems) >= maxProblems {
		return
	}
	at, _ := k.place(path)
	o := &k.c.origin
	p := o.src.Problem(at, o.scrub(c.what))
	p.Why, p.Mend, p.Warning = o.scrub(c.why), o.scrub(c.mend), warning
	k.problems = append(k.problems, p)
}

// place is where the value of path stands, or the key above it.
func (k *checker) place(path string) (fault.Place, bool) {
	if s, ok := k.c.origin.spans[path]; ok {
		return s.value, true
	}
	for {
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return fault.Place{}, false
		}
		path = path[:i]
		if s, ok := k.c.origin.spans[path]; ok {
			return s.key, false
		}
	}
}

func (k *checker) broken(path string) bool { return k.c.origin.spans[path].broken }

func (k *checker) given(path string) bool {
	_, ok := k.c.origin.spans[path]
	return ok
}

// check runs every check. Order does not matter: problems are sorted.
func (k *checker) check() {
	k.c.loaded.contents = map[string][32]byte{}
	k.checkServers()
	k.checkDatabases()
	k.checkUsers()
	k.readUsers()
	k.readRules()
	k.checkAuth()
	k.buildClientTLS()
	k.checkListen()
	k.checkTop()
	k.checkWorkloads()
	k.checkSweeps()
	k.checkJobs()
	k.checkActing()
	k.checkWatch()
	k.checkNotify()
	k.checkRecord()
}

func (k *checker) checkServers() {
	k.c.loaded.tls.servers = map[string]*tls.Config{}
	if len(k.c.Servers) == 0 && !k.broken("servers") {
		k.fail("servers", complaint{
			what: "no server is named",
			why:  "there would be nothing to pool connections to",
			mend: "servers: {main: {url: postgres://role@host:5432/postgres}}",
		})
	}
	for _, name := range sortedKeys(k.c.Servers) {
		s, path := k.c.Servers[name], join("servers", name)
		k.readTarget(name, s)
		k.settleServerPassword(path, s)
		k.buildServerTLS(name, s)
		if s.MaxConnections > 0 && s.OperatorSlots >= s.MaxConnections {
			k.fail(join(path, "operator_slots"), complaint{
				what: fmt.Sprintf("operator_slots %d leave nothing of max_connections %d", s.OperatorSlots, s.MaxConnections),
				mend: "raise max_connections or lower operator_slots",
			})
		}
		for _, h := range s.Hosts {
			if h == "" {
				k.fail(join(path, "hosts"), complaint{what: "hosts holds an empty name", mend: "leave it out"})
			}
		}
	}
}

// settleServerPassword lets exactly one of url, password and password_file
// give the password.
func (k *checker) settleServerPassword(path string, s *Server) {
	at := join(path, "password")
	if s.target.password != "" && (s.Password != "" || s.PasswordFile != "") {
		if s.Password == "" {
			at = join(path, "password_file")
		}
		k.fail(at, complaint{what: "a password is given here and in the url", mend: "keep one of them"})
		return
	}
	k.readSecret(path, &s.Password, s.PasswordFile)
	if s.Password != "" {
		s.target.password = s.Password
	}
}

func (k *checker) checkDatabases() {
	if len(k.c.Databases) == 0 && !k.given("databases") && len(k.c.Servers) == 1 {
		d := &Database{}
		for _, row := range databaseKeys() {
			row.setDefault(d)
		}
		k.c.Databases = map[string]*Database{"*": d}
	}
	if len(k.c.Databases) == 0 && len(k.c.Servers) > 0 && !k.broken("databases") {
		say := k.fail
		if k.given("databases") {
			say = k.warn // asked for: the console alone
		}
		say("databases", complaint{what: "no database is named", why: "every client would be refused", mend: `databases: {"*": {server: ` + quoteKey(sortedKeys(k.c.Servers)[0]) + `}}`})
	}
	for _, name := range sortedKeys(k.c.Databases) {
		k.checkDatabase(name, k.c.Databases[name])
	}
	k.checkMinimums()
}

func (k *checker) checkDatabase(name string, d *Database) {
	path := join("databases", name)
	if name == "pgbouncer" || name == "spillway" {
		k.fail(path, complaint{what: fmt.Sprintf("database %s is the admin console", name), mend: "choose another name, with dbname for its name on the server"})
	}
	k.settleServer(path, d)
	k.readSecret(path, &d.Password, d.PasswordFile)
	if d.Password != "" && d.User == "" {
		k.fail(join(path, "password"), complaint{what: "password is given without user", why: "clients' own roles have their own passwords", mend: "give user, or leave the password out"})
	}
	k.checkPool(name, d)
}

// settleServer finds the database's server; the only one is the default.
func (k *checker) settleServer(path string, d *Database) {
	names := sortedKeys(k.c.Servers)
	at := join(path, "server")
	switch {
	case d.Server == "" && len(names) == 1:
		d.Server = names[0]
	case d.Server == "" && len(names) > 1:
		k.fail(at, complaint{what: fmt.Sprintf("%s does not say which server", path), mend: "server: " + strings.Join(names, " or ")})
	case d.Server != "" && k.c.Servers[d.Server] == nil && len(names) > 0:
		c := complaint{what: fmt.Sprintf("server %s is not under servers", quoteKey(d.Server)), mend: "servers are " + strings.Join(names, ", ")}
		if near := fault.Nearest(d.Server, names); near != "" {
			c.mend = "did you mean " + near + "?"
		}
		k.fail(at, c)
	}
}

func (k *checker) checkUsers() {
	for _, name := range sortedKeys(k.c.Users) {
		u, path := k.c.Users[name], join("users", name)
		if u.MaxServers > 0 && u.PoolSize > u.MaxServers {
			k.fail(join(path, "pool_size"), complaint{
				what: fmt.Sprintf("pool_size %d is above max_servers %d", u.PoolSize, u.MaxServers),
				mend: fmt.Sprintf("pool_size: %d, or a higher max_servers", u.MaxServers),
			})
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
