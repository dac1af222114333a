package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"spillway/internal/proxy"
)

const defaultListenPort = "6432"

// checkListen reads the addresses; they become proxy.Listen in listens.
func (k *checker) checkListen() {
	if k.broken("listen") {
		return
	}
	if len(k.c.Listen) == 0 {
		k.fail("listen", complaint{what: "listen is empty", why: "no client could connect", mend: `listen: ["127.0.0.1:6432"]`})
	}
	seen := map[string]bool{}
	for _, text := range k.c.Listen {
		if _, c := readListen(text, defaultListenPort, 0); c != nil {
			k.fail("listen", *c)
		}
		if seen[text] {
			k.fail("listen", complaint{what: fmt.Sprintf("listen names %q twice", text), mend: "leave one out"})
		}
		seen[text] = true
	}
	if _, err := socketMode(k.c.UnixSocketMode); err != nil {
		k.fail("unix_socket_mode", complaint{what: "unix_socket_mode is not octal", mend: `"0777", or "0770" for the group only`})
	}
	if k.c.Admin != "" {
		if _, c := readListen(k.c.Admin, "6433", 0); c != nil {
			k.fail("admin", *c)
		}
	}
}

func socketMode(text string) (uint32, error) {
	mode, err := strconv.ParseUint(text, 8, 12)
	if err == nil && mode > 0o777 {
		err = strconv.ErrRange
	}
	return uint32(mode), err
}

// readListen reads host:port or unix:folder. port is for sockets' names.
func readListen(text, port string, mode uint32) (proxy.Listen, *complaint) {
	if dir, ok := strings.CutPrefix(text, "unix:"); ok {
		if !filepath.IsAbs(dir) {
			return proxy.Listen{}, &complaint{what: fmt.Sprintf("listen address %q is not a folder from the root", text), mend: "unix:/run/spillway"}
		}
		if !strings.HasPrefix(filepath.Base(dir), ".s.PGSQL.") {
			dir = filepath.Join(dir, ".s.PGSQL."+port)
		}
		if len(dir) > longestSocket {
			return proxy.Listen{}, &complaint{what: fmt.Sprintf("socket %s is longer than %d bytes", dir, longestSocket), why: "the system takes no longer one", mend: "use a folder with a shorter name"}
		}
		return proxy.Listen{Network: "unix", Address: dir, Mode: mode}, nil
	}
	host, p, err := net.SplitHostPort(text)
	if _, c := parsePort(p); err != nil || c != nil || strings.ContainsAny(host, "/ \t\x00") {
		return proxy.Listen{}, &complaint{what: fmt.Sprintf("listen address %q is not host:port", text), mend: `"127.0.0.1:6432", "*:6432" for every address, "[::1]:6432", or unix:/run/spillway`}
	}
	if host == "*" {
		host = ""
	}
	return proxy.Listen{Network: "tcp", Address: net.JoinHostPort(host, p)}, nil
}

// longestSocket is what fits sockaddr_un on Linux, its zero byte left out.
const longestSocket = 107

func (k *checker) checkAuth() {
	a := &k.c.Auth
	if k.broken("auth.type") {
		return
	}
	switch a.Type {
	case "hba":
		k.need("auth.type", a.HBAFile, "type hba has no hba_file", "hba_file: pg_hba.conf")
	case "cert":
		k.checkCert()
	case "any":
		k.checkAny()
	case "scram-sha-256", "md5", "plain":
		k.checkSomeoneKnown()
	}
	if a.Type != "hba" && a.HBAFile != "" {
		k.warn("auth.hba_file", complaint{what: fmt.Sprintf("hba_file is not used with type %s", a.Type), mend: "type: hba"})
	}
	if a.CertMap != "" && k.c.loaded.ident != nil && !k.c.loaded.ident.Has(a.CertMap) {
		k.fail("auth.cert_map", complaint{what: fmt.Sprintf("map %s is not in %s", quoteKey(a.CertMap), k.resolve(a.IdentFile)), mend: "add its lines, or correct the name"})
	}
	if a.CertMap != "" && a.IdentFile == "" {
		k.fail("auth.cert_map", complaint{what: "cert_map is given without ident_file", mend: "give auth.ident_file"})
	}
	if a.Query != "" && !strings.Contains(a.Query, "$1") {
		k.fail("auth.query", complaint{what: "query does not ask for $1", why: "it would answer the same secret for every user", mend: "… WHERE rolname = $1"})
	}
	k.checkLookups()
	k.checkOperators()
}

func (k *checker) need(path, value, what, mend string) {
	if value == "" {
		k.fail(path, complaint{what: what, mend: mend})
	}
}

func (k *checker) checkCert() {
	if mode := tlsMode(k.c.TLS.Mode); mode < proxy.TLSVerifyCA {
		k.fail("auth.type", complaint{
			what: fmt.Sprintf("type is cert and tls.mode is %s", k.c.TLS.Mode),
			why:  "without a verified certificate there is nothing to log in with",
			mend: "tls: {mode: verify-full, …}",
		})
	}
}

// checkAny wants a role for clients whose names mean nothing.
func (k *checker) checkAny() {
	for _, name := range sortedKeys(k.c.Databases) {
		if k.c.Databases[name].User == "" {
			k.fail(k.nearer(join("databases", name), "auth.type"), complaint{
				what: fmt.Sprintf("type is any and database %s has no user", quoteKey(name)),
				why:  "any name is let in, so the name cannot be the server role",
				mend: "give the database a user, or type: trust",
			})
		}
	}
}

// checkSomeoneKnown warns of a config nobody can log in with.
func (k *checker) checkSomeoneKnown() {
	if k.c.Auth.File != "" || k.c.Auth.User != "" || len(k.c.loaded.secrets) > 0 {
		return
	}
	for _, d := range k.c.Databases {
		if d.AuthUser != "" {
			return
		}
	}
	k.warn("auth.type", complaint{
		what: fmt.Sprintf("type is %s and no user's secret is known", k.c.Auth.Type),
		why:  "nobody could log in",
		mend: "give auth.file, or auth.user for a look-up in the database",
	})
}

// checkLookups holds the role that asks for secrets against what is known.
func (k *checker) checkLookups() {
	ask := func(path, user string) {
		if user == "" {
			return
		}
		if _, ok := k.c.loaded.secrets[user]; !ok {
			k.warn(path, complaint{
				what: fmt.Sprintf("role %s that looks users up has no secret here", quoteKey(user)),
				why:  "its login works only where PostgreSQL trusts it",
				mend: "auth.password_file, or a line in auth.file",
			})
		}
	}
	ask("auth.user", k.c.Auth.User)
	for _, name := range sortedKeys(k.c.Databases) {
		ask(join(join("databases", name), "auth_user"), k.c.Databases[name].AuthUser)
	}
}

func (k *checker) checkOperators() {
	if len(k.c.Auth.Operators) == 0 {
		return
	}
	if len(k.c.Operators) > 0 {
		k.fail("auth.operators", complaint{what: "operators are named here and at the top", mend: "keep operators at the top"})
		return
	}
	k.c.Operators = slices.Clone(k.c.Auth.Operators)
}

func (k *checker) checkTop() {
	t := &k.c.Timeouts
	if t.Queue > 0 && t.QueueNotice >= t.Queue {
		k.warn(k.nearer("timeouts.queue_notice", "timeouts.queue"), complaint{
			what: fmt.Sprintf("queue_notice %s is not before queue %s", formatDuration(t.QueueNotice), formatDuration(t.Queue)),
			mend: "a shorter queue_notice, or 0 for none",
		})
	}
	if k.c.StatsPeriod == 0 {
		k.fail("stats_period", complaint{what: "stats_period is 0", why: "averages need a time to be taken over", mend: "stats_period: 60s"})
	}
	if k.c.DataDir == "" {
		k.fail("data_dir", complaint{what: "data_dir is empty", mend: "data_dir: /var/lib/spillway"})
	}
	l := &k.c.Limits
	least := map[string]struct{ value, least Bytes }{
		"limits.client_memory": {l.ClientMemory, 16 << 10},
		"limits.max_message":   {l.MaxMessage, 64 << 10},
		"limits.max_startup":   {l.MaxStartup, 512},
	}
	for path, b := range least {
		if b.value < b.least {
			k.fail(path, complaint{what: fmt.Sprintf("%s is %s, less than %s", path, formatBytes(b.value), formatBytes(b.least)), mend: "write " + formatBytes(b.least) + " or more"})
		}
	}
	if l.MaxMessage > 1<<30 {
		k.fail("limits.max_message", complaint{what: "limits.max_message is above 1GiB", why: "PostgreSQL sends no longer message", mend: "max_message: 1GiB"})
	}
	if l.MaxStartup > 1<<20 {
		k.fail("limits.max_startup", complaint{what: "limits.max_startup is above 1MiB", why: "anyone may send it before login", mend: "max_startup: 10000B"})
	}
	if k.c.Driver != "auto" && k.c.Driver != "goroutine" && os.PathSeparator != '/' {
		k.fail("driver", complaint{what: "driver " + k.c.Driver + " is for Linux", mend: "driver: auto"})
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
