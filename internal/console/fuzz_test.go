package console

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"unicode/utf8"
)

// FuzzMessage hands over streams of messages. Whatever comes, the reply is well
// framed and in UTF-8, every Query and Sync ends with ReadyForQuery, and one
// without admin rights reaches nothing.
func FuzzMessage(f *testing.F) {
	add := func(seed *frontend) { f.Add(seed.list) }
	add(new(frontend).raw('Q', []byte("SHOW POOLS; PAUSE app TIMEOUT 5s; SET a = 'b'\x00")))
	add(new(frontend).raw('Q', []byte("select 1 as x; show fds; /* /* */ -- \x00")))
	add(new(frontend).raw('Q', []byte("KILL_CLIENT 18446744073709551616\x00")))
	add(new(frontend).raw('Q', nil).raw('Q', []byte("\x00\x00")))
	add(new(frontend).raw('Q', []byte("\xff\xfe\"\x00")))
	add(new(frontend).parse("s", "SHOW CLIENTS").bind("p", "s", 1).describe('P', "p").execute("p", 1).execute("p", 0).sync())
	add(new(frontend).parse("", "NONSENSE").bind("", "").execute("", -1).sync().raw('X', nil))
	add(new(frontend).raw('P', []byte("\x00\x00\xff\xff")).raw('B', []byte("\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff")))
	add(new(frontend).raw('B', []byte("\x00\x00\x00\x00\x00\x01\x80\x00\x00\x00\x00\x00")).sync())
	add(new(frontend).raw('E', []byte("\x00\x7f\xff\xff\xff")).raw('D', []byte("S")).raw('C', []byte("\x00")))
	f.Add([]byte{})
	f.Add([]byte{'Q', 0, 0, 0})
	f.Add([]byte{'Q', 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		b := newBench(t, false)
		for len(stream) >= 5 {
			size := uint64(binary.BigEndian.Uint32(stream[1:])) + 1
			if size < 5 || size > uint64(len(stream)) {
				break
			}
			kind, body := stream[0], stream[5:size]
			stream = stream[size:]
			out, err := b.session.Message(t.Context(), kind, body, nil)
			checkReply(t, kind, messages(t, out), err)
			if err != nil {
				break
			}
		}
		b.wasAsked()
	})
}

func checkReply(t *testing.T, kind byte, reply []message, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errBroken) {
		t.Fatalf("unexpected error %v", err)
	}
	if kind == 'S' && (len(reply) != 1 || reply[0].kind != 'Z') {
		t.Fatalf("Sync is answered by %s", transcript(reply))
	}
	for i, m := range reply {
		if !utf8.Valid([]byte(m.report.Message + m.report.Detail + m.report.Hint)) {
			t.Fatalf("not UTF-8: %s", m)
		}
		if m.kind == 'Z' && i != len(reply)-1 {
			t.Fatalf("ReadyForQuery is not last: %s", transcript(reply))
		}
	}
}
