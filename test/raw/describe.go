package raw

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Scribe writes messages down so that two servers' can be compared: process
// ids and secrets are left out, OIDs of objects users made are numbered in
// order of appearance, long values are shortened to a hash.
type Scribe struct {
	oids map[uint32]int
}

// firstUserOID is where PostgreSQL starts numbering what users make.
const firstUserOID = 16384

func (s *Scribe) oid(n uint32) string {
	if n < firstUserOID {
		return fmt.Sprint(n)
	}
	if s.oids == nil {
		s.oids = map[uint32]int{}
	}
	if _, seen := s.oids[n]; !seen {
		s.oids[n] = len(s.oids) + 1
	}
	return fmt.Sprintf("user%d", s.oids[n])
}

// plain are the messages without content.
var plain = map[byte]string{
	'1': "ParseComplete", '2': "BindComplete", '3': "CloseComplete", 'n': "NoData",
	'I': "EmptyQueryResponse", 's': "PortalSuspended", 'c': "CopyDone",
}

// Line describes a message in one line.
func (s *Scribe) Line(m Message) string {
	if name, ok := plain[m.Type]; ok && len(m.Body) == 0 {
		return name
	}
	switch m.Type {
	case 'Z':
		return "ReadyForQuery " + string(m.Body)
	case 'C':
		return "CommandComplete " + text(bytes.TrimSuffix(m.Body, []byte{0}))
	case 'E':
		return "ErrorResponse " + fields(m.Body)
	case 'N':
		return "NoticeResponse " + fields(m.Body)
	case 'S':
		name, value, _ := strings.Cut(strings.TrimSuffix(string(m.Body), "\x00"), "\x00")
		return fmt.Sprintf("ParameterStatus %s=%s", name, value)
	case 'K':
		return fmt.Sprintf("BackendKeyData (%d bytes of secret)", len(m.Body)-4)
	case 'R':
		return fmt.Sprintf("Authentication %x", m.Body)
	case 'd':
		return "CopyData " + text(m.Body)
	}
	if line, ok := s.structured(m); ok {
		return line
	}
	return fmt.Sprintf("%q %s", m.Type, text(m.Body))
}

// structured describes the messages that pgproto3 has to take apart.
func (s *Scribe) structured(m Message) (string, bool) {
	switch m.Type {
	case 'T':
		var t pgproto3.RowDescription
		if t.Decode(m.Body) != nil {
			return "", false
		}
		return s.rowDescription(&t), true
	case 'D':
		var d pgproto3.DataRow
		if d.Decode(m.Body) != nil {
			return "", false
		}
		return "DataRow " + values(d.Values), true
	case 't':
		var p pgproto3.ParameterDescription
		if p.Decode(m.Body) != nil {
			return "", false
		}
		names := make([]string, len(p.ParameterOIDs))
		for i, n := range p.ParameterOIDs {
			names[i] = s.oid(n)
		}
		return "ParameterDescription " + strings.Join(names, " "), true
	case 'A':
		var n pgproto3.NotificationResponse
		if n.Decode(m.Body) != nil {
			return "", false
		}
		return fmt.Sprintf("NotificationResponse %s %q", n.Channel, n.Payload), true
	case 'G', 'H', 'W':
		return copyResponse(m), true
	case 'V':
		var v pgproto3.FunctionCallResponse
		if v.Decode(m.Body) != nil {
			return "", false
		}
		return "FunctionCallResponse " + text(v.Result), true
	}
	return "", false
}

func (s *Scribe) rowDescription(t *pgproto3.RowDescription) string {
	cols := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		cols[i] = fmt.Sprintf("%s(%s.%d %s %d %d %d)", f.Name, s.oid(f.TableOID), f.TableAttributeNumber,
			s.oid(f.DataTypeOID), f.DataTypeSize, f.TypeModifier, f.Format)
	}
	return "RowDescription " + strings.Join(cols, " ")
}

func copyResponse(m Message) string {
	name := map[byte]string{'G': "CopyInResponse", 'H': "CopyOutResponse", 'W': "CopyBothResponse"}[m.Type]
	return fmt.Sprintf("%s %x", name, m.Body)
}

func values(all [][]byte) string {
	shown := make([]string, len(all))
	for i, v := range all {
		shown[i] = "NULL"
		if v != nil {
			shown[i] = text(v)
		}
	}
	return strings.Join(shown, " ")
}

// longest is how much of a value is shown.
const longest = 200

func text(b []byte) string {
	if len(b) <= longest {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes, sha256 %.6x)", b[:40], len(b), sha256.Sum256(b))
}

// unstable are the fields that tell where in the server's source the error
// was raised.
const unstable = "FLR"

// Fields takes an ErrorResponse or NoticeResponse apart.
func Fields(body []byte) map[byte]string {
	all := map[byte]string{}
	for part := range bytes.SplitSeq(body, []byte{0}) {
		if len(part) > 0 {
			all[part[0]] = string(part[1:])
		}
	}
	return all
}

func fields(body []byte) string {
	var shown []string
	for k, v := range Fields(body) {
		if !strings.ContainsRune(unstable, rune(k)) {
			shown = append(shown, fmt.Sprintf("%c=%s", k, text([]byte(v))))
		}
	}
	slices.Sort(shown)
	return strings.Join(shown, " ")
}

// Sent describes what a client sends, in one line per message.
func Sent(b []byte) []string {
	var lines []string
	for len(b) >= 5 {
		n := int(binary.BigEndian.Uint32(b[1:]))
		if n < 4 || n+1 > len(b) {
			break
		}
		lines = append(lines, fmt.Sprintf("%c %s", b[0], text(b[5:n+1])))
		b = b[n+1:]
	}
	if len(b) > 0 {
		lines = append(lines, "raw "+text(b))
	}
	return lines
}
