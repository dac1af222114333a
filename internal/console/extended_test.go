package console

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"spillway/internal/wire"
)

// frontend builds messages of the extended protocol.
type frontend struct{ list []byte }

func (f *frontend) parse(name, sql string) *frontend {
	f.list = wire.AppendParse(f.list, name, sql, nil)
	return f
}

func (f *frontend) bind(portal, statement string, formats ...int16) *frontend {
	body := append([]byte(portal+"\x00"+statement+"\x00"), 0, 0, 0, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(formats)))
	for _, format := range formats {
		body = binary.BigEndian.AppendUint16(body, uint16(format))
	}
	return f.raw('B', body)
}

func (f *frontend) describe(what byte, name string) *frontend {
	f.list = wire.AppendNamed(f.list, wire.Describe, what, name)
	return f
}

func (f *frontend) close(what byte, name string) *frontend {
	f.list = wire.AppendNamed(f.list, wire.Close, what, name)
	return f
}

func (f *frontend) execute(portal string, rows int) *frontend {
	return f.raw('E', binary.BigEndian.AppendUint32([]byte(portal+"\x00"), uint32(rows)))
}

func (f *frontend) sync() *frontend { return f.raw('S', nil) }

func (f *frontend) raw(kind byte, body []byte) *frontend {
	f.list = append(f.list, kind)
	f.list = binary.BigEndian.AppendUint32(f.list, uint32(len(body)+4))
	f.list = append(f.list, body...)
	return f
}

// run hands every message over in order and returns the kinds of the replies
// with what matters of each: "1 2 T D(app) C(SHOW) Z(I)".
func (f *frontend) run(b *bench) string {
	b.t.Helper()
	var words []string
	for rest := f.list; len(rest) > 0; {
		size := int(binary.BigEndian.Uint32(rest[1:])) + 1
		for _, m := range b.send(rest[0], rest[5:size]) {
			words = append(words, m.word())
		}
		rest = rest[size:]
	}
	return strings.Join(words, " ")
}

func (m message) word() string {
	switch m.kind {
	case 'D':
		return fmt.Sprintf("D(%s)", m.values[0])
	case 'E', 'N':
		return fmt.Sprintf("%c(%s)", m.kind, m.report.Code)
	case 'C':
		return "C(" + m.tag + ")"
	case 'Z':
		return "Z(" + string(rune(m.state)) + ")"
	case 'T':
		return fmt.Sprintf("T(%d)", len(m.columns))
	}
	return string(rune(m.kind))
}

func TestExtended(t *testing.T) {
	for _, c := range []struct {
		name string
		send *frontend
		want string
	}{
		{"one go", new(frontend).parse("", "SHOW VERSION").bind("", "").describe('P', "").execute("", 0).sync(),
			"1 2 T(1) D(PgBouncer 1.25.2) C(SHOW) Z(I)"},
		{"prepared", new(frontend).parse("s", "show pools;").describe('S', "s").sync().bind("", "s").execute("", 0).sync().bind("", "s").execute("", 0).sync(),
			"1 t T(17) Z(I) 2 D(app) D(shop) C(SHOW) Z(I) 2 D(app) D(shop) C(SHOW) Z(I)"},
		{"verb has no rows", new(frontend).parse("", "PAUSE app").describe('S', "").bind("", "").describe('P', "").execute("", 0).sync(),
			"1 t n 2 n C(PAUSE) Z(I)"},
		{"help has no rows", new(frontend).parse("", "SHOW HELP").describe('S', "").bind("", "").execute("", 0).sync(),
			"1 t n 2 N(00000) C(SHOW) Z(I)"},
		{"empty", new(frontend).parse("", "-- ping").describe('S', "").bind("", "").execute("", 0).sync(), "1 t n 2 I Z(I)"},
		{"row limit", new(frontend).parse("", "SHOW LISTS").bind("p", "").execute("p", 13).execute("p", 1).execute("p", 1).sync(),
			"1 2 D(databases) D(users) D(peers) D(pools) D(peer_pools) D(free_clients) D(used_clients) D(login_clients) D(free_servers) D(used_servers) D(dns_names) D(dns_zones) D(dns_queries) s D(dns_pending) C(SHOW) C(SHOW) Z(I)"},
		{"verb runs once", new(frontend).parse("", "PAUSE app").bind("p", "").execute("p", 0).execute("p", 0).sync(), "1 2 C(PAUSE) E(55000) Z(I)"},
		{"error skips to Sync", new(frontend).parse("", "NONSENSE").bind("", "").execute("", 0).raw('Q', []byte("SHOW VERSION\x00")).sync().parse("", "SHOW VERSION").bind("", "").execute("", 0).sync(),
			"E(42601) Z(I) 1 2 D(PgBouncer 1.25.2) C(SHOW) Z(I)"},
		{"several in a pipeline", new(frontend).parse("", "PAUSE app").bind("", "").execute("", 0).parse("", "RESUME app").bind("", "").execute("", 0).raw('H', nil).sync(),
			"1 2 C(PAUSE) 1 2 C(RESUME) Z(I)"},
		{"portals end at Sync", new(frontend).parse("s", "SHOW VERSION").bind("p", "s").sync().execute("p", 0).sync(), "1 2 Z(I) E(34000) Z(I)"},
		{"portals live in a transaction", new(frontend).raw('Q', []byte("BEGIN\x00")).parse("s", "SHOW VERSION").bind("p", "s").sync().execute("p", 0).sync(),
			"N(00000) C(BEGIN) Z(T) 1 2 Z(T) D(PgBouncer 1.25.2) C(SHOW) Z(T)"},
		{"close", new(frontend).parse("s", "SHOW VERSION").bind("p", "s").close('P', "p").execute("p", 0).sync().close('S', "s").close('S', "s").bind("", "s").sync(),
			"1 2 3 E(34000) Z(I) 3 3 E(26000) Z(I)"},
		{"closing a statement closes its portals", new(frontend).parse("s", "SHOW VERSION").bind("p", "s").close('S', "s").execute("p", 0).sync(), "1 2 3 E(34000) Z(I)"},
		{"names are taken once", new(frontend).parse("s", "SHOW VERSION").parse("s", "SHOW POOLS").sync().bind("p", "s").bind("p", "s").sync(),
			"1 E(42P05) Z(I) 2 E(42P03) Z(I)"},
		{"unnamed is replaced", new(frontend).parse("", "SHOW POOLS").parse("", "SHOW VERSION").bind("", "").bind("", "").execute("", 0).sync(),
			"1 1 2 2 D(PgBouncer 1.25.2) C(SHOW) Z(I)"},
		{"two commands", new(frontend).parse("", "PAUSE; RESUME").sync(), "E(42601) Z(I)"},
		{"parameters", new(frontend).raw('P', []byte("\x00KILL_CLIENT $1\x00\x00\x01\x00\x00\x00\x17")).sync(), "E(0A000) Z(I)"},
		{"parameter values", new(frontend).parse("", "KILL_CLIENT $1").raw('B', []byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0211\x00\x00")).sync(), "1 E(0A000) Z(I)"},
		{"formats do not fit", new(frontend).parse("", "SHOW POOLS").bind("", "", 1, 1).sync(), "1 E(08P01) Z(I)"},
		{"unknown format", new(frontend).parse("", "SHOW POOLS").bind("", "", 2).sync(), "1 E(22023) Z(I)"},
		{"unknown statement", new(frontend).describe('S', "none").sync().bind("", "none").sync().describe('P', "none").sync(), "E(26000) Z(I) E(26000) Z(I) E(34000) Z(I)"},
		{"deallocate", new(frontend).parse("s", "SHOW VERSION").raw('Q', []byte("DEALLOCATE s\x00")).describe('S', "s").sync(), "1 C(DEALLOCATE) Z(I) E(26000) Z(I)"},
		{"discard all", new(frontend).parse("s", "SHOW VERSION").raw('Q', []byte("DISCARD ALL\x00")).describe('S', "s").sync(), "1 C(DISCARD ALL) Z(I) E(26000) Z(I)"},
		{"function call", new(frontend).raw('F', []byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00")), "E(0A000) Z(I)"},
		{"copy is passed over", new(frontend).raw('d', []byte("x")).raw('c', nil).raw('f', []byte("x\x00")).sync(), "Z(I)"},
		{"error in a transaction", new(frontend).raw('Q', []byte("BEGIN\x00")).parse("", "NONSENSE").sync().raw('Q', []byte("ROLLBACK\x00")), "N(00000) C(BEGIN) Z(T) E(42601) Z(E) C(ROLLBACK) Z(I)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.send.run(newBench(t, true)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestBroken: what is no protocol ends the session with one FATAL error.
func TestBroken(t *testing.T) {
	for _, c := range []struct {
		kind byte
		body string
	}{
		{'Q', "no end"}, {'Q', "early\x00end\x00"}, {'Q', ""},
		{'P', ""}, {'P', "name"}, {'P', "\x00SHOW POOLS\x00"}, {'P', "\x00\x00\xff\xff"}, {'P', "\x00\x00\x00\x00more"},
		{'B', ""}, {'B', "\x00\x00\x7f\xff"}, {'B', "\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00"}, {'B', "\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00\x00\x00"},
		{'B', "\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01"},
		{'D', ""}, {'D', "S"}, {'D', "X\x00"}, {'D', "S\x00more"},
		{'E', ""}, {'E', "\x00"}, {'E', "\x00\x00\x00"},
		{'C', "Q\x00"}, {'C', "S"},
		{'p', "secret\x00"}, {0, ""}, {'~', ""}, {0xff, "\xff"},
	} {
		b := newBench(t, true)
		out, err := b.session.Message(t.Context(), c.kind, []byte(c.body), nil)
		reply := messages(t, out)
		if !errors.Is(err, errBroken) || len(reply) != 1 || reply[0].report.Severity != "FATAL" || reply[0].report.Code != codeProtocol {
			t.Errorf("%q %q: got %v, %s", c.kind, c.body, err, transcript(reply))
		}
		if strings.Contains(string(out), "secret") {
			t.Errorf("%q: the error repeats what the client sent", c.kind)
		}
	}
}

func TestTerminate(t *testing.T) {
	b := newBench(t, true)
	b.send('P', []byte("\x00NONSENSE\x00\x00\x00")) // also while skipping
	out, err := b.session.Message(t.Context(), 'X', nil, []byte("before"))
	if !errors.Is(err, io.EOF) || string(out) != "before" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestReplyIsAppended: what is in the buffer already stays.
func TestReplyIsAppended(t *testing.T) {
	b := newBench(t, true)
	for _, sql := range []string{"SHOW VERSION", "NONSENSE"} {
		out, err := b.session.Message(t.Context(), 'P', []byte("\x00"+sql+"\x00\x00\x00"), []byte("before"))
		if err != nil || !strings.HasPrefix(string(out), "before") || len(messages(t, out[6:])) != 1 {
			t.Errorf("%s: got %q, %v", sql, out, err)
		}
	}
}

// TestNamedIsBounded: a client cannot make the console keep without limit.
func TestNamedIsBounded(t *testing.T) {
	b := newBench(t, false)
	for i := range maxNamed {
		if got := new(frontend).parse(fmt.Sprint(i), "SHOW VERSION").run(b); got != "1" {
			t.Fatalf("statement %d: %s", i, got)
		}
	}
	for i := range maxNamed {
		if got := new(frontend).bind(fmt.Sprint(i), "0").run(b); got != "2" {
			t.Fatalf("portal %d: %s", i, got)
		}
	}
	if got := new(frontend).bind("more", "0").sync().parse("more", "SHOW VERSION").sync().run(b); got != "E(54000) Z(I) E(54000) Z(I)" {
		t.Errorf("got %s", got)
	}
	if got := new(frontend).parse(strings.Repeat("n", maxName+1), "").sync().run(b); got != "E(54000) Z(I)" {
		t.Errorf("long name: got %s", got)
	}
}
