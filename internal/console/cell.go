package console

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"spillway/internal/wire"
)

// Types of columns, by PostgreSQL's OID.
const (
	oidBool    = 16
	oidInt8    = 20
	oidInt4    = 23
	oidText    = 25
	oidNumeric = 1700
)

// Format codes of values on the wire.
const (
	formatText   = 0
	formatBinary = 1
)

func columnOf(name string, oid uint32) wire.Column {
	sizes := map[uint32]int16{oidBool: 1, oidInt8: 8, oidInt4: 4}
	size, fixed := sizes[oid]
	if !fixed {
		size = -1
	}
	return wire.Column{Name: name, OID: oid, Size: size}
}

// columns of one type each; joined with slices.Concat where a table mixes them.
func columns(oid uint32, names ...string) []wire.Column {
	list := make([]wire.Column, len(names))
	for i, name := range names {
		list[i] = columnOf(name, oid)
	}
	return list
}

func texts(names ...string) []wire.Column    { return columns(oidText, names...) }
func int4s(names ...string) []wire.Column    { return columns(oidInt4, names...) }
func int8s(names ...string) []wire.Column    { return columns(oidInt8, names...) }
func numerics(names ...string) []wire.Column { return columns(oidNumeric, names...) }

// cell is one value. Its column says which type it is of: text in s, all else
// in n. A numeric is n · 10^-scale.
type cell struct {
	s     string
	n     int64
	scale uint8 // of a numeric: digits after the point, at most 4
	null  bool
}

func text(s string) cell { return cell{s: s} }

// orNull is a text that is NULL when empty.
func orNull(s string) cell { return cell{s: s, null: s == ""} }

func number[I ~int | ~int64 | ~uint8 | ~uint16](n I) cell { return cell{n: int64(n)} }

// count is a number that cannot be negative, saturated where int64 ends.
func count(n uint64) cell { return cell{n: int64(min(n, math.MaxInt64))} }

func yes(b bool) cell {
	if b {
		return cell{n: 1}
	}
	return cell{}
}

// seconds is a numeric with three digits after the point.
func seconds(d time.Duration) cell { return cell{n: d.Milliseconds(), scale: 3} }

// appendText appends the value as PostgreSQL would print it.
func (c cell) appendText(dst []byte, oid uint32) []byte {
	switch {
	case oid == oidText:
		return append(dst, c.s...)
	case oid == oidBool:
		return append(dst, "ft"[c.n&1])
	case c.scale == 0:
		return strconv.AppendInt(dst, c.n, 10)
	}
	whole, part, unit := c.split()
	if c.n < 0 {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, whole, 10)
	dst = append(dst, '.')
	for unit /= 10; unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(part/unit%10))
	}
	return dst
}

// split parts a scaled number's magnitude at the point; unit is 10^scale.
func (c cell) split() (whole, part, unit uint64) {
	magnitude := uint64(c.n)
	if c.n < 0 {
		magnitude = -magnitude
	}
	unit = 1
	for range c.scale {
		unit *= 10
	}
	return magnitude / unit, magnitude % unit, unit
}

// appendBinary appends the value in the type's binary format.
func (c cell) appendBinary(dst []byte, oid uint32) []byte {
	switch oid {
	case oidInt4:
		// Saturated: a wrapped number would name something else.
		n := max(math.MinInt32, min(c.n, math.MaxInt32))
		return binary.BigEndian.AppendUint32(dst, uint32(int32(n)))
	case oidInt8:
		return binary.BigEndian.AppendUint64(dst, uint64(c.n))
	case oidNumeric:
		return c.appendNumeric(dst)
	case oidBool:
		return append(dst, byte(c.n&1))
	}
	return append(dst, c.s...)
}

const numericBase = 10000 // of a digit in a binary numeric

// appendNumeric appends the count of base-10000 digits, the weight of the first
// one, the sign, the digits after the point to print, and the digits.
func (c cell) appendNumeric(dst []byte) []byte {
	whole, part, unit := c.split()
	var digits []uint16 // last one first
	weight := -1
	if c.scale > 0 {
		digits = append(digits, uint16(part*(numericBase/unit)))
	}
	for ; whole > 0; whole /= numericBase {
		digits = append(digits, uint16(whole%numericBase))
		weight++
	}
	for len(digits) > 0 && digits[0] == 0 { // zeros at the end are not sent
		digits = digits[1:]
	}
	sign := uint16(0)
	if c.n < 0 {
		sign = 0x4000
	}
	if len(digits) == 0 {
		weight = 0
	}
	for _, field := range []uint16{uint16(len(digits)), uint16(int16(weight)), sign, uint16(c.scale)} {
		dst = binary.BigEndian.AppendUint16(dst, field)
	}
	for i := len(digits) - 1; i >= 0; i-- {
		dst = binary.BigEndian.AppendUint16(dst, digits[i])
	}
	return dst
}

// appendRow appends a DataRow; scratch is reused between rows and returned.
func appendRow(dst []byte, cols []wire.Column, row []cell, formats []int16, scratch [][]byte) ([]byte, [][]byte) {
	scratch = scratch[:0]
	store := make([]byte, 0, 16*len(row)) // never nil: a nil value is NULL
	for i, c := range row {
		if c.null {
			scratch = append(scratch, nil)
			continue
		}
		at := len(store)
		if wire.FormatAt(formats, i) == formatBinary {
			store = c.appendBinary(store, cols[i].OID)
		} else {
			store = c.appendText(store, cols[i].OID)
		}
		scratch = append(scratch, store[at:len(store):len(store)])
	}
	return wire.AppendDataRow(dst, scratch...), scratch
}
