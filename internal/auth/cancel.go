package auth

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// The lengths of cancel keys in bytes.
const (
	MinCancelKey = 4   // the shortest, and the only one of protocol 3.0
	CancelKeyV32 = 32  // what PostgreSQL sends under protocol 3.2
	MaxCancelKey = 256 // the longest protocol 3.2 allows
)

// CancelKey proves that a cancel request comes from the session it names. Its bytes
// are immutable by convention.
type CancelKey []byte

var errCancelKey = errors.New("cancel key is not 4 to 256 bytes long")

// ParseCancelKey copies and checks a key from the wire.
func ParseCancelKey(b []byte) (CancelKey, error) {
	if len(b) < MinCancelKey || len(b) > MaxCancelKey {
		return nil, errCancelKey
	}
	return CancelKey(append([]byte(nil), b...)), nil
}

// NewCancelKey reads size fresh bytes from random, usually crypto/rand.Reader.
func NewCancelKey(random io.Reader, size int) (CancelKey, error) {
	if size < MinCancelKey || size > MaxCancelKey {
		return nil, errCancelKey
	}
	k := make(CancelKey, size)
	if _, err := io.ReadFull(random, k); err != nil {
		return nil, fmt.Errorf("read cancel key: %w", err)
	}
	return k, nil
}

// Equal compares in constant time for equal lengths.
func (k CancelKey) Equal(o []byte) bool { return subtle.ConstantTimeCompare(k, o) == 1 }
