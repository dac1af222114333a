package badinput

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"spillway/test/raw"
)

// input is one thing a bad client says, and what it may expect.
type input struct {
	name  string
	login bool   // say it after a login, else as the first bytes
	say   []byte // sent at once
	code  string // SQLSTATE of the error; "" for a silent close
	lives bool   // the session goes on after the error, as with PostgreSQL
}

// Codes of first packets, from src/include/libpq/pqcomm.h.
const (
	sslRequest    = 80877103
	cancelRequest = 80877102
)

func packet(code uint32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

func message(kind byte, length uint32, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, length), body...)
}

func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func inputs() []input {
	named := map[string]string{"user": "postgres", "database": "app"}
	all := []input{
		{name: "unknown database", say: raw.Startup(raw.V30, map[string]string{"user": "postgres", "database": "nowhere"}), code: "3D000"},
		{name: "no user", say: raw.Startup(raw.V30, map[string]string{"database": "app"}), code: "28000"},
		{name: "protocol 2", say: raw.Startup(2<<16, named), code: "0A000"},
		{name: "protocol 4", say: raw.Startup(4<<16, named), code: "0A000"},
		{name: "startup of length 0", say: make([]byte, 8)},
		{name: "startup of length 7", say: []byte{0, 0, 0, 7, 0, 3, 0, 0}},
		{name: "startup of 2 GiB", say: []byte{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}},
		{name: "startup of negative length", say: []byte{0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0}},
		{name: "startup longer than PostgreSQL's limit", say: append([]byte{0, 0, 0x27, 0x11}, bytes.Repeat([]byte{0}, 10000)...)},
		{name: "startup without its last zero", say: packet(raw.V30, []byte("user\x00postgres\x00database\x00app\x00")...), code: "08P01"},
		{name: "startup with a name but no value", say: packet(raw.V30, []byte("user\x00postgres\x00database\x00")...), code: "08P01"},
		{name: "HTTP", say: []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{name: "SSH", say: []byte("SSH-2.0-OpenSSH_9.2p1\r\n")},
		{name: "TLS hello to a plain port", say: append([]byte{0x16, 3, 1, 2, 0}, noise(2, 512)...)},
		{name: "bytes behind an SSLRequest", say: append(packet(sslRequest), raw.Startup(raw.V30, named)...), code: "08P01"},
		{name: "cancel of nobody", say: packet(cancelRequest, 0, 0, 0, 1, 1, 2, 3, 4)},
		{name: "cancel without a key", say: packet(cancelRequest, 0, 0, 0, 1)},
		{name: "cancel with a key too long", say: packet(cancelRequest, make([]byte, 4000)...)},
		{name: "length 0 after login", login: true, say: message('Q', 0), code: "08P01"},
		{name: "length 3 after login", login: true, say: message('Q', 3), code: "08P01"},
		{name: "negative length after login", login: true, say: message('Q', 0xffffffff), code: "08P01"},
		{name: "2 GiB after login", login: true, say: message('P', 0x7fffffff), code: "08P01"},
		{name: "unknown kind after login", login: true, say: message('~', 4), code: "08P01"},
		{name: "server's kind after login", login: true, say: message('Z', 5, 'I'), code: "08P01"},
		{name: "startup after login", login: true, say: raw.Startup(raw.V30, named), code: "08P01"},
		{name: "sync with a body", login: true, say: message('S', 8, 1, 2, 3, 4), code: "08P01", lives: true},
		{name: "query without its zero", login: true, say: message('Q', 12, []byte("SELECT 1")...), code: "08P01", lives: true},
	}
	for seed := range uint64(20) {
		garbage := noise(seed+100, 4096)
		garbage[0] |= 0x80 // no length that is possible, and not TLS
		all = append(all, input{name: "garbage", say: garbage})
		garbage = noise(seed+200, 4096)
		garbage[0] |= 0x80 // no kind there is
		all = append(all, input{name: "garbage after login", login: true, say: garbage, code: "08P01"})
	}
	return all
}
