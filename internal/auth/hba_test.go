package auth

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

const sampleHBA = `
# TYPE DATABASE USER ADDRESS METHOD
local   all       postgres                       peer map=admins
local   all       all                            md5
hostssl app,"my db"  api, "all"  10.0.0.0/8      scram-sha-256
hostssl certs     all            all             cert map=cn   # comment
host    replication repl         10.1.2.3 255.255.255.255 md5
host    sameuser  all            ::1/128         trust
hostnossl all     all            192.168.0.0/16  reject
host    all       all            192.168.0.0/16  plain
host    /^shard_\d+$ all \
        172.16.0.0/12 \
        password
host    own       all            samehost        trust
host    near      all            samenet         trust
`

func TestHBAMatch(t *testing.T) {
	h, err := ParseHBA([]byte(sampleHBA))
	if err != nil {
		t.Fatal(err)
	}
	if !h.NeedsHost() || h.Len() != 11 {
		t.Fatalf("needs host %v, %d rules", h.NeedsHost(), h.Len())
	}
	h = h.WithHost([]netip.Prefix{netip.MustParsePrefix("10.9.9.1/24"), netip.MustParsePrefix("::ffff:10.8.8.1/120")})
	at := netip.MustParseAddr
	for _, c := range []struct {
		name string
		c    Conn
		line int // 0: none
	}{
		{"peer", Conn{Local: true, User: "postgres", Database: "x"}, 3},
		{"local", Conn{Local: true, User: "a", Database: "x"}, 4},
		{"list of databases", Conn{TLS: true, Addr: at("10.5.5.5"), User: "api", Database: "app"}, 5},
		{"quoted database", Conn{TLS: true, Addr: at("10.5.5.5"), User: "api", Database: "my db"}, 5},
		{"quoted all is a name", Conn{TLS: true, Addr: at("10.5.5.5"), User: "all", Database: "app"}, 5},
		{"quoted all is no keyword", Conn{TLS: true, Addr: at("10.5.5.5"), User: "bob", Database: "app"}, 0},
		{"hostssl without TLS", Conn{Addr: at("10.5.5.5"), User: "api", Database: "app"}, 0},
		{"outside the range", Conn{TLS: true, Addr: at("11.0.0.1"), User: "api", Database: "app"}, 0},
		{"v4 in v6", Conn{TLS: true, Addr: at("::ffff:10.5.5.5"), User: "api", Database: "app"}, 5},
		{"cert from anywhere", Conn{TLS: true, Addr: at("2001:db8::1"), User: "z", Database: "certs"}, 6},
		{"replication", Conn{Addr: at("10.1.2.3"), User: "repl", Replication: true}, 7},
		{"replication is not a database's name", Conn{Addr: at("10.1.2.3"), User: "repl", Database: "replication"}, 0},
		{"all does not mean replication", Conn{Addr: at("192.168.1.1"), User: "repl", Replication: true}, 0},
		{"sameuser", Conn{Addr: at("::1"), User: "u", Database: "u"}, 8},
		{"not sameuser", Conn{Addr: at("::1"), User: "u", Database: "v"}, 0},
		{"first rule wins", Conn{Addr: at("192.168.7.7"), User: "u", Database: "v"}, 9},
		{"nossl does not match TLS", Conn{TLS: true, Addr: at("192.168.7.7"), User: "u", Database: "v"}, 10},
		{"joined lines, regular expression", Conn{Addr: at("172.20.0.1"), User: "u", Database: "shard_12"}, 11},
		{"regular expression fails", Conn{Addr: at("172.20.0.1"), User: "u", Database: "shard_x"}, 0},
		{"samehost", Conn{Addr: at("10.9.9.1"), User: "u", Database: "own"}, 14},
		{"not samehost", Conn{Addr: at("10.9.9.2"), User: "u", Database: "own"}, 0},
		{"samenet", Conn{Addr: at("10.9.9.2"), User: "u", Database: "near"}, 15},
		{"samenet v4 in v6", Conn{Addr: at("10.8.8.200"), User: "u", Database: "near"}, 15},
		{"not samenet", Conn{Addr: at("10.9.8.2"), User: "u", Database: "near"}, 0},
		{"no address", Conn{User: "z", Database: "certs", TLS: true}, 0},
		{"case counts", Conn{TLS: true, Addr: at("10.5.5.5"), User: "API", Database: "app"}, 0},
		{"zone", Conn{Addr: at("::1").WithZone("lo"), User: "u", Database: "u"}, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, ok := h.Match(c.c)
			if ok != (c.line > 0) || r.Line != c.line {
				t.Fatalf("matched line %d, want %d", r.Line, c.line)
			}
		})
	}
	if r, _ := h.Match(Conn{Local: true, User: "postgres"}); r.Method != MethodPeer || r.Map != "admins" || r.Type != TypeLocal {
		t.Errorf("rule %+v", r)
	}
}

func TestHBAFailsClosed(t *testing.T) {
	var none *HBA
	empty, err := ParseHBA(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*HBA{none, empty} {
		if r, ok := h.Match(Conn{Local: true}); ok || r.Method != MethodReject {
			t.Error("a file without rules lets someone in")
		}
	}
}

var brokenHBA = []struct {
	in           string
	line, column int
}{
	{"hots all all 1.2.3.4/32 md5", 1, 1},
	{"host", 1, 1},
	{"host all", 1, 6},
	{"host all all", 1, 10},
	{"host all all 10.0.0.0/8", 1, 14},
	{"\n\n  host all all 10.0.0.0/33 md5", 3, 16},
	{"host all all 10.0.0.1 md5", 1, 23},
	{"host all all 10.0.0.1", 1, 14},
	{"host all all 10.0.0.1 255.0.255.0 md5", 1, 23},
	{"host all all 10.0.0.1 ffff:: md5", 1, 23},
	{"host all all example.org md5", 1, 14},
	{"host all all .example.org md5", 1, 14},
	{"host all all ::ffff:10.0.0.0/90 md5", 1, 14},
	{"host all all all ldap ldapserver=x", 1, 18},
	{"host all all all MD5", 1, 18},
	{"host all +staff all md5", 1, 10},
	{"host all @file all md5", 1, 10},
	{"host @file all all md5", 1, 6},
	{"host samerole all all md5", 1, 6},
	{"host \"\" all all md5", 1, 6},
	{"host all \"bob all md5\nhost all all all md5", 1, 10},
	{"host /( all all md5", 1, 6},
	{"host,local all all all md5", 1, 6},
	{"host all all all,all md5", 1, 18},
	{"host all all all md5 map=x", 1, 22},
	{"hostssl all all all cert map=", 1, 26},
	{"hostssl all all all cert clientcert=verify-full", 1, 26},
	{"hostssl all all all cert map", 1, 26},
	{"host all all all cert", 1, 18},
	{"host all all all peer", 1, 18},
	{"hostgssenc all all all md5", 1, 1},
	{"include other.conf", 1, 1},
	{"host all \x00 all md5", 1, 10},
	{"host all " + strings.Repeat("x", 200) + " all md5", 1, 10},
	{"host all " + strings.Repeat("x", 2000) + " all md5", 1, 10},
	{"local all all \\\n  nonsense", 2, 3},
	{"local all älles,+x md5", 1, 17},
}

func TestHBAErrors(t *testing.T) {
	for _, c := range brokenHBA {
		_, err := ParseHBA([]byte(c.in))
		var p *ParseError
		if !errors.As(err, &p) {
			t.Errorf("%.60q: got %v", c.in, err)
			continue
		}
		if p.Line != c.line || p.Column != c.column || p.Mend == "" {
			t.Errorf("%.60q: %v, want line %d, column %d", c.in, p, c.line, c.column)
		}
	}
	many := "host " + strings.Repeat("a,", maxLineTokens+1) + " all all md5"
	if _, err := ParseHBA([]byte(many)); err == nil {
		t.Error("a line of too many words was accepted")
	}
	if _, err := ParseHBA(make([]byte, maxRuleFile+1)); err == nil {
		t.Error("a huge file was accepted")
	}
}

func FuzzParseHBA(f *testing.F) {
	f.Add([]byte(sampleHBA), "app", "api")
	f.Add([]byte("local all all trust"), "", "")
	for _, c := range brokenHBA {
		f.Add([]byte(c.in), "x", "y")
	}
	f.Fuzz(func(t *testing.T, src []byte, database, user string) {
		h, err := ParseHBA(src)
		if err != nil {
			var p *ParseError
			if !errors.As(err, &p) || p.Line < 1 || p.Column < 1 || h != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, c := range []Conn{
			{Local: true, Database: database, User: user},
			{TLS: true, Addr: netip.MustParseAddr("10.0.0.1"), Database: database, User: user},
			{Addr: netip.MustParseAddr("::1"), User: user, Replication: true},
		} {
			if r, ok := h.Match(c); !ok && r.Method != MethodReject {
				t.Fatal("no match, yet a method")
			}
		}
	})
}
