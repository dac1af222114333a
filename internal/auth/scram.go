package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The SASL mechanisms of PostgreSQL.
const (
	MechanismSCRAM     = "SCRAM-SHA-256"
	MechanismSCRAMPlus = "SCRAM-SHA-256-PLUS"
)

const (
	// MaxClientMessage is the longest SCRAM payload taken from a client, in bytes,
	// as PostgreSQL has it.
	MaxClientMessage = 1024
	// MaxServerMessage is the longest SCRAM payload taken from a server, in bytes.
	MaxServerMessage = 4096
	// rawNonceSize is how many random bytes a nonce of ours holds.
	rawNonceSize = 18
)

// ErrFailed is the outcome of a wrong password and of an unknown user alike. What
// the client is told must be the same for both.
var ErrFailed = errors.New("password authentication failed")

// SQLSTATEs of a ProtocolError.
const (
	stateProtocol      = "08P01"
	stateAuthorization = "28000"
	stateUnsupported   = "0A000"
)

// ProtocolError says that a peer broke the rules of an exchange. Message and
// Detail hold no secret and nothing of the peer's but single sanitised characters,
// so both may be sent to a client.
type ProtocolError struct {
	State   string // SQLSTATE
	Message string
	Detail  string
}

// Error returns message and detail on one line.
func (e *ProtocolError) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + ": " + e.Detail
}

func malformed(format string, args ...any) error {
	return &ProtocolError{stateProtocol, "malformed SCRAM message", fmt.Sprintf(format, args...)}
}

// newNonce returns a nonce in base64.
func newNonce(random io.Reader) (string, error) {
	var raw [rawNonceSize]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("read nonce: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw[:]), nil
}

// attributes walks "a=value,b=value". A trailing comma is nothing, as in PostgreSQL.
type attributes struct{ rest string }

// expect reads the next attribute, which must have this name.
func (a *attributes) expect(name byte) (string, error) {
	if a.rest == "" || a.rest[0] != name {
		return "", malformed("expected attribute %q but found %s", string(name), firstChar(a.rest))
	}
	_, value, err := a.next()
	return value, err
}

// next reads whatever attribute comes next.
func (a *attributes) next() (name byte, value string, err error) {
	if a.rest == "" {
		return 0, "", malformed("attribute expected, but found end of message")
	}
	name = a.rest[0]
	if lower := name | 0x20; lower < 'a' || lower > 'z' {
		return 0, "", malformed("attribute expected, but found %s", firstChar(a.rest))
	}
	if len(a.rest) < 2 || a.rest[1] != '=' {
		return 0, "", malformed("expected \"=\" after attribute %q", string(name))
	}
	value, a.rest, _ = strings.Cut(a.rest[2:], ",")
	return name, value, nil
}

// firstChar shows the first byte of s for an error.
func firstChar(s string) string {
	switch {
	case s == "":
		return "end of message"
	case s[0] < 0x21 || s[0] > 0x7E:
		return fmt.Sprintf("0x%02x", s[0])
	default:
		return "'" + s[:1] + "'"
	}
}

// isNonce reports whether s is one or more printable characters other than a comma.
func isNonce(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7E || r == ',' }) < 0
}

// checkPayload bounds a payload before anything looks into it.
func checkPayload(p []byte, limit int) error {
	switch {
	case len(p) == 0:
		return malformed("the message is empty")
	case len(p) > limit:
		return malformed("the message is longer than %d bytes", limit)
	}
	for _, c := range p {
		if c == 0 {
			return malformed("the message contains a zero byte")
		}
	}
	return nil
}

// xorKeys is ClientProof from ClientKey and ClientSignature, and back.
func xorKeys(a, b Key) Key {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// clientSignature signs the exchange with StoredKey.
func clientSignature(clientKey Key, authMessage string) Key {
	stored := sha256.Sum256(clientKey[:])
	return keyedHash(stored[:], authMessage)
}
