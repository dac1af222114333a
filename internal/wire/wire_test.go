package wire_test

import (
	"bytes"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"spillway/internal/wire"
)

func TestFrameBoundsLengths(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		size int
		bad  bool
	}{
		"empty body":        {[]byte{'S', 0, 0, 0, 4}, 5, false},
		"too short":         {[]byte{'Q', 0, 0, 0, 3}, 0, true},
		"negative":          {[]byte{'Q', 0xff, 0xff, 0xff, 0xff}, 0, true},
		"at the limit":      {[]byte{'Q', 0, 0, 0, 99}, 100, false},
		"above the limit":   {[]byte{'Q', 0, 0, 0, 100}, 0, true},
		"wraps (pgx CVE)":   {[]byte{'Q', 0x80, 0, 0, 4}, 0, true},
		"largest of uint32": {[]byte{'Q', 0xff, 0xff, 0xff, 0xfe}, 0, true},
	} {
		_, size, err := wire.Frame(c.b, 100)
		if (err != nil) != c.bad || size != c.size {
			t.Errorf("%s: size %d, error %v", name, size, err)
		}
	}
}

func TestStartupReadsWhatPgproto3Writes(t *testing.T) {
	b, err := (&pgproto3.StartupMessage{ProtocolVersion: 3 << 16, Parameters: map[string]string{"user": "u", "database": "d", "_pq_.x": "1"}}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := wire.ParseStartup(b)
	if err != nil || s.Major != 3 || s.Get("user") != "u" || s.Get("database") != "d" || len(s.Unrecognized()) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestReportsRoundTrip(t *testing.T) {
	want := wire.Report{Severity: "ERROR", Code: "53300", Message: "m", Detail: "d", Hint: "h"}
	b := wire.AppendReport(nil, wire.ErrorResponse, want)
	if got := wire.ParseReport(b[wire.HeaderSize:]); got != want {
		t.Errorf("got %+v", got)
	}
	var e pgproto3.ErrorResponse
	if err := e.Decode(b[wire.HeaderSize:]); err != nil || e.Code != "53300" || e.Hint != "h" {
		t.Errorf("pgproto3 reads %+v, %v", e, err)
	}
	if got := wire.ParseReport([]byte("Mno code and no end")); got.Message != "no code and no end" || wire.ReportCode([]byte("Mx")) != nil {
		t.Errorf("a cut report reads %+v", got)
	}
}

func TestMessagesReadAsPgproto3Does(t *testing.T) {
	var parse pgproto3.Parse
	b := wire.AppendParse(nil, "n", "select $1", []byte{0, 1, 0, 0, 0, 23})
	if err := parse.Decode(b[wire.HeaderSize:]); err != nil || parse.Name != "n" || parse.Query != "select $1" || parse.ParameterOIDs[0] != 23 {
		t.Errorf("%+v, %v", parse, err)
	}
	var row pgproto3.DataRow
	b = wire.AppendDataRow(nil, []byte("x"), nil)
	if err := row.Decode(b[wire.HeaderSize:]); err != nil || string(row.Values[0]) != "x" || row.Values[1] != nil {
		t.Errorf("%+v, %v", row, err)
	}
	var columns pgproto3.RowDescription
	b = wire.AppendRowDescription(nil, []wire.Column{{Name: "c", OID: 25, Size: -1}}, []int16{1})
	if err := columns.Decode(b[wire.HeaderSize:]); err != nil || string(columns.Fields[0].Name) != "c" || columns.Fields[0].Format != 1 {
		t.Errorf("%+v, %v", columns, err)
	}
}

func FuzzStartup(f *testing.F) {
	f.Add(wire.AppendStartup(nil, 0, []wire.Param{{Name: "user", Value: "u"}}))
	f.Add(wire.AppendCancel(nil, 1, []byte{1, 2, 3, 4}))
	f.Add(wire.AppendRequest(nil, wire.CodeSSL))
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0})
	f.Add([]byte{0, 0, 0, 9, 0, 3, 0, 0, 'u'})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := wire.ParseStartup(b)
		if err == nil && s.Major == 3 && len(s.Params) > len(b) {
			t.Errorf("%d parameters out of %d bytes", len(s.Params), len(b))
		}
	})
}

func FuzzReport(f *testing.F) {
	f.Add(wire.AppendReport(nil, wire.ErrorResponse, wire.Report{Severity: "FATAL", Code: "57P01", Message: "x"})[5:])
	f.Add([]byte{})
	f.Add([]byte("C"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r := wire.ParseReport(b); len(r.Message) > len(b) {
			t.Error("longer than its source")
		}
		if code := wire.ReportCode(b); !bytes.Contains(b, code) {
			t.Error("a code from nowhere")
		}
	})
}
