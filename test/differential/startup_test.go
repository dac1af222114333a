package differential

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"spillway/internal/pgtest"
	"spillway/test/raw"
)

// TestNegotiation asks for protocol versions and options that PostgreSQL does
// not have. PostgreSQL 15 itself knows 3.0 only and a pooler may speak 3.2, so
// the version may differ from a direct answer, but the form may not.
func TestNegotiation(t *testing.T) {
	s := fixtured(t)
	tests := map[string]struct {
		version uint32
		params  map[string]string
		options []string // refused
	}{
		"3.0":                   {raw.V30, nil, nil},
		"3.0 with an option":    {raw.V30, map[string]string{"_pq_.nonsense": "1"}, []string{"_pq_.nonsense"}},
		"3.2":                   {raw.V32, nil, nil},
		"3.2 with options":      {raw.V32, map[string]string{"_pq_.a": "1", "_pq_.b": "x"}, []string{"_pq_.a", "_pq_.b"}},
		"a version of tomorrow": {3<<16 | 9999, nil, nil},
	}
	for _, k := range pgtest.AllKinds(t, "session", "transaction") {
		p := pooled(t, k, s)
		for name, test := range tests {
			t.Run(strings.ReplaceAll(k.String(), "/", " ")+" "+name, func(t *testing.T) {
				checkNegotiation(t, p.Addr(), test.version, test.params, test.options)
			})
		}
	}
}

func checkNegotiation(t *testing.T, addr string, version uint32, params map[string]string, refused []string) {
	t.Helper()
	c, err := raw.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := map[string]string{"user": "postgres", "database": "diff"}
	for k, v := range params {
		all[k] = v
	}
	hello, err := c.LoginAs(version, all, "")
	if err != nil || hello[len(hello)-1].Type != 'Z' {
		t.Fatalf("login failed: %v: %q", err, hello)
	}
	spoken := version
	var said *raw.Message
	for i, m := range hello {
		if m.Type == 'v' {
			said = &hello[i]
		}
	}
	if said != nil {
		var options []string
		spoken, options = decodeNegotiation(t, said.Body)
		if strings.Join(options, " ") != strings.Join(refused, " ") {
			t.Errorf("refused options = %q, want %q", options, refused)
		}
	}
	if said == nil && (len(refused) > 0 || version > raw.V32) {
		t.Error("no NegotiateProtocolVersion came")
	}
	if spoken != raw.V30 && spoken != raw.V32 {
		t.Errorf("spoken version = %d.%d", spoken>>16, spoken&0xffff)
	}
	if spoken == raw.V30 && len(c.Secret) != 4 {
		t.Errorf("secret has %d bytes in version 3.0, want 4", len(c.Secret))
	}
	if n := len(c.Secret); n < 4 || n > 256 {
		t.Errorf("secret has %d bytes", n)
	}
	checkCancel(t, addr, c)
}

func decodeNegotiation(t *testing.T, body []byte) (version uint32, options []string) {
	t.Helper()
	if len(body) < 8 {
		t.Fatalf("NegotiateProtocolVersion has %d bytes", len(body))
	}
	version = binary.BigEndian.Uint32(body)
	n := int(binary.BigEndian.Uint32(body[4:]))
	for part := range bytes.SplitSeq(bytes.TrimSuffix(body[8:], []byte{0}), []byte{0}) {
		if len(part) > 0 {
			options = append(options, string(part))
		}
	}
	if len(options) != n {
		t.Errorf("NegotiateProtocolVersion says %d options and lists %d", n, len(options))
	}
	return version, options
}

// checkCancel cancels a sleeping query with the connection's key, and shows
// that the session goes on.
func checkCancel(t *testing.T, addr string, c *raw.Conn) {
	t.Helper()
	if err := c.SendMessages(&pgproto3.Query{String: "DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(60); END $$"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadUntil("N"); err != nil { // it runs now
		t.Fatal(err)
	}
	begun := time.Now()
	if err := raw.SendCancel(addr, c.PID, c.Secret); err != nil {
		t.Fatal(err)
	}
	got, err := c.ReadUntil("EZ")
	if err != nil {
		t.Fatal(err)
	}
	if code := raw.Fields(got[0].Body)['C']; code != "57014" {
		t.Errorf("after a cancel: SQLSTATE %s, want 57014", code)
	}
	t.Logf("cancelled after %v", time.Since(begun))
	if _, err := c.Query("SELECT 1"); err != nil {
		t.Errorf("after a cancel: %v", err)
	}
}

// TestCancelWithAWrongKeyDoesNothing guesses at keys near the right one.
func TestCancelWithAWrongKeyDoesNothing(t *testing.T) {
	s := fixtured(t)
	for _, k := range pgtest.AllKinds(t, "session", "transaction") {
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) {
			p := pooled(t, k, s)
			c, err := raw.Dial(p.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Login(map[string]string{"user": "postgres", "database": "diff"}); err != nil {
				t.Fatal(err)
			}
			if err := c.SendMessages(&pgproto3.Query{String: "DO $$ BEGIN RAISE NOTICE 'asleep'; PERFORM pg_sleep(1); END $$"}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.ReadUntil("N"); err != nil {
				t.Fatal(err)
			}
			for i := range c.Secret {
				wrong := bytes.Clone(c.Secret)
				wrong[i] ^= 1
				if err := raw.SendCancel(p.Addr(), c.PID, wrong); err != nil {
					t.Fatal(err)
				}
			}
			for _, secret := range [][]byte{make([]byte, 4), bytes.Repeat([]byte{0xff}, 4), bytes.Repeat([]byte{7}, 256)} {
				if err := raw.SendCancel(p.Addr(), c.PID, secret); err != nil {
					t.Fatal(err)
				}
			}
			got, err := c.ReadUntil("Z")
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got {
				if m.Type == 'E' {
					t.Errorf("a wrong key cancelled the query: %q", m.Body)
				}
			}
		})
	}
}

// TestReplicationCommands runs the commands of a replication connection,
// which a pooler passes through in session mode.
func TestReplicationCommands(t *testing.T) {
	s := fixtured(t)
	sc := script{name: "replication", params: map[string]string{"replication": "database"}, steps: []step{
		say(q("IDENTIFY_SYSTEM")), say(q("SHOW wal_level")), say(q("SELECT 1")), say(q("TIMELINE_HISTORY 99")), hangUp(),
	}}
	want := direct(t, s, sc)
	for _, k := range pgtest.AllKinds(t, "session") {
		if k.Mode != "session" {
			continue
		}
		t.Run(strings.ReplaceAll(k.String(), "/", " "), func(t *testing.T) {
			p := pooled(t, k, s)
			got, err := place{addr: p.Addr(), database: "diff"}.play(sc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := firstDifference(withoutPosition(want), withoutPosition(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// withoutPosition drops the answer to IDENTIFY_SYSTEM, which moves on.
func withoutPosition(lines []string) []string {
	var kept []string
	for i, line := range lines {
		if i > 1 && strings.Contains(lines[i-1], "systemid(") {
			continue
		}
		kept = append(kept, line)
	}
	return kept
}
