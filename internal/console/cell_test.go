package console

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"spillway/internal/wire"
)

// TestBinary decodes with pgx's own codecs: text and binary must say the same.
func TestBinary(t *testing.T) {
	types := pgtype.NewMap()
	numbers := []int64{0, 1, -1, 9, 10, 9999, 10000, 10001, 20000, 99990000, 100000000, 123456789012345678, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64}
	for _, n := range numbers {
		for scale := range uint8(5) {
			c := cell{n: n, scale: scale}
			t.Run(fmt.Sprintf("%de-%d", n, scale), func(t *testing.T) {
				var fromText, fromBinary pgtype.Numeric
				scan(t, types, oidNumeric, c, &fromText, &fromBinary)
				same(t, fromText, fromBinary)
			})
		}
		var fromText, fromBinary int64
		scan(t, types, oidInt8, cell{n: n}, &fromText, &fromBinary)
		if fromText != n || fromBinary != n {
			t.Errorf("int8 %d: text %d, binary %d", n, fromText, fromBinary)
		}
	}
	for _, s := range []string{"", "x", "naïve ☃"} {
		var fromText, fromBinary string
		scan(t, types, oidText, text(s), &fromText, &fromBinary)
		if fromText != s || fromBinary != s {
			t.Errorf("text %q: text %q, binary %q", s, fromText, fromBinary)
		}
	}
	for _, v := range []bool{true, false} {
		var fromText, fromBinary bool
		scan(t, types, oidBool, yes(v), &fromText, &fromBinary)
		if fromText != v || fromBinary != v {
			t.Errorf("bool %v: text %v, binary %v", v, fromText, fromBinary)
		}
	}
}

func scan(t *testing.T, types *pgtype.Map, oid uint32, c cell, fromText, fromBinary any) {
	t.Helper()
	if err := types.Scan(oid, pgtype.TextFormatCode, c.appendText([]byte{}, oid), fromText); err != nil {
		t.Errorf("text: %v", err)
	}
	if err := types.Scan(oid, pgtype.BinaryFormatCode, c.appendBinary([]byte{}, oid), fromBinary); err != nil {
		t.Errorf("binary: %v", err)
	}
}

func same(t *testing.T, a, b pgtype.Numeric) {
	t.Helper()
	one, errOne := a.Value()
	two, errTwo := b.Value()
	if errOne != nil || errTwo != nil {
		t.Fatal(errOne, errTwo)
	}
	x, _ := a.Float64Value()
	y, _ := b.Float64Value()
	if x.Float64 != y.Float64 {
		t.Errorf("text says %v, binary says %v", one, two)
	}
}

func TestBinaryInt4IsSaturated(t *testing.T) {
	for n, want := range map[int64]int32{5: 5, -5: -5, math.MaxInt64: math.MaxInt32, math.MinInt64: math.MinInt32} {
		got := int32(binary.BigEndian.Uint32(cell{n: n}.appendBinary(nil, oidInt4)))
		if got != want {
			t.Errorf("%d becomes %d", n, got)
		}
	}
}

func TestText(t *testing.T) {
	for want, got := range map[string]cell{
		"0": number(0), "-17": number(-17), "9223372036854775807": count(math.MaxUint64),
		"0.005": seconds(5 * time.Millisecond), "90.000": seconds(90 * time.Second), "-1.250": {n: -1250, scale: 3},
		"-922337203685477.5808": {n: math.MinInt64, scale: 4},
	} {
		if text := string(got.appendText(nil, oidNumeric)); text != want {
			t.Errorf("%s is printed as %s", want, text)
		}
	}
}

// TestNullAndEmpty: an empty text is no NULL, in both formats.
func TestNullAndEmpty(t *testing.T) {
	cols := []wire.Column{columnOf("a", oidText), columnOf("b", oidText), columnOf("c", oidInt4)}
	for _, format := range []int16{formatText, formatBinary} {
		out, _ := appendRow(nil, cols, []cell{text(""), orNull(""), number(7)}, []int16{format}, nil)
		values := messages(t, out)[0].values
		if values[0] == nil || len(values[0]) != 0 || values[1] != nil || values[2] == nil {
			t.Errorf("format %d: %q", format, values)
		}
	}
}
