package console

import (
	"encoding/binary"
	"errors"

	"spillway/internal/wire"
)

// errMalformed is a message whose body does not hold what its kind says.
var errMalformed = errors.New("malformed message")

// reader takes a message's body apart. After the first field that is not there
// all others are empty and done is false.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) done() bool { return !r.bad && len(r.rest) == 0 }

func (r *reader) skip(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) text() string {
	s, rest, ok := wire.CString(r.rest)
	if r.bad || !ok {
		r.bad = true
		return ""
	}
	r.rest = rest
	return string(s)
}

func (r *reader) byte() byte {
	if b := r.skip(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.skip(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// count reads a count of elements, each of which takes at least size bytes.
func (r *reader) count(size int) int {
	b := r.skip(2)
	if b == nil {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b))
	if n*size > len(r.rest) {
		r.bad = true
		return 0
	}
	return n
}

// value passes a parameter's value; a length of -1 is NULL.
func (r *reader) value() {
	if n := int32(r.uint32()); n != -1 {
		r.skip(int(n))
	}
}

func (r *reader) codes() []int16 {
	n := r.count(2)
	codes := make([]int16, 0, n)
	for range n {
		if b := r.skip(2); b != nil {
			codes = append(codes, int16(binary.BigEndian.Uint16(b)))
		}
	}
	return codes
}
