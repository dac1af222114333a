package console

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"spillway/internal/wire"
)

// message is one decoded reply. It is decoded here on its own, not by the code
// that wrote it.
type message struct {
	kind    byte
	columns []wire.Column
	formats []int16
	values  [][]byte // of a DataRow; nil is NULL
	report  wire.Report
	tag     string
	state   byte
	body    []byte
}

// messages takes a reply apart; anything malformed fails the test.
func messages(t testing.TB, out []byte) []message {
	t.Helper()
	var list []message
	for len(out) > 0 {
		if len(out) < 5 {
			t.Fatalf("truncated header: %q", out)
		}
		size := int(binary.BigEndian.Uint32(out[1:])) + 1
		if size < 5 || size > len(out) {
			t.Fatalf("message %q has length %d of %d", out[0], size, len(out))
		}
		list = append(list, decode(t, out[0], out[5:size]))
		out = out[size:]
	}
	return list
}

func decode(t testing.TB, kind byte, body []byte) message {
	t.Helper()
	m := message{kind: kind, body: body}
	r := &cursor{t: t, rest: body}
	switch kind {
	case 'T':
		for range r.int16() {
			name := r.text()
			r.take(6)
			oid := uint32(r.int32())
			size := r.int16()
			if modifier := r.int32(); modifier != -1 {
				t.Errorf("column %s has type modifier %d", name, modifier)
			}
			m.columns = append(m.columns, wire.Column{Name: name, OID: oid, Size: size})
			m.formats = append(m.formats, r.int16())
		}
		r.end()
	case 'D':
		for range r.int16() {
			n := r.int32()
			if n < 0 {
				m.values = append(m.values, nil)
				continue
			}
			m.values = append(m.values, append([]byte{}, r.take(int(n))...))
		}
		r.end()
	case 'E', 'N':
		m.report = wire.ParseReport(body)
	case 'C':
		m.tag = r.text()
		r.end()
	case 'Z':
		m.state = r.take(1)[0]
		r.end()
	}
	return m
}

type cursor struct {
	t    testing.TB
	rest []byte
}

func (c *cursor) take(n int) []byte {
	c.t.Helper()
	if n > len(c.rest) {
		c.t.Fatalf("want %d bytes, %d are left", n, len(c.rest))
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) int16() int16 { return int16(binary.BigEndian.Uint16(c.take(2))) }
func (c *cursor) int32() int32 { return int32(binary.BigEndian.Uint32(c.take(4))) }

func (c *cursor) text() string {
	c.t.Helper()
	text, rest, ok := strings.Cut(string(c.rest), "\x00")
	if !ok {
		c.t.Fatalf("text without end: %q", c.rest)
	}
	c.rest = []byte(rest)
	return text
}

func (c *cursor) end() {
	c.t.Helper()
	if len(c.rest) > 0 {
		c.t.Fatalf("%d bytes too many: %q", len(c.rest), c.rest)
	}
}

func (m message) String() string {
	switch m.kind {
	case 'T':
		var list []string
		for _, c := range m.columns {
			list = append(list, c.Name+":"+typeName(c))
		}
		return "columns  " + strings.Join(list, " ")
	case 'D':
		var list []string
		for _, v := range m.values {
			if v == nil {
				list = append(list, "NULL")
				continue
			}
			list = append(list, string(v))
		}
		return "row      " + strings.Join(list, " | ")
	case 'E', 'N':
		text := fmt.Sprintf("%-8s %s %s", strings.ToLower(m.report.Severity), m.report.Code, m.report.Message)
		if m.report.Detail != "" {
			text += "\n  detail: " + m.report.Detail
		}
		if m.report.Hint != "" {
			text += "\n  hint: " + m.report.Hint
		}
		return text
	case 'C':
		return "complete " + m.tag
	case 'Z':
		return "ready    " + string(rune(m.state))
	}
	return fmt.Sprintf("%q %q", m.kind, m.body)
}

// typeName is PostgreSQL's name of a column's type, from its OID and size as a
// driver would look them up.
func typeName(c wire.Column) string {
	for _, known := range []struct {
		oid  uint32
		size int16
		name string
	}{{16, 1, "bool"}, {20, 8, "int8"}, {23, 4, "int4"}, {25, -1, "text"}, {1700, -1, "numeric"}} {
		if c.OID == known.oid && c.Size == known.size {
			return known.name
		}
	}
	return fmt.Sprintf("oid %d of size %d", c.OID, c.Size)
}

func transcript(list []message) string {
	var text strings.Builder
	for _, m := range list {
		text.WriteString(m.String())
		text.WriteByte('\n')
	}
	return text.String()
}
