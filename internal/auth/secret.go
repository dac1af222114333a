package auth

import (
	"crypto/subtle"
	"errors"
	"strings"
)

// MaxSecret is the longest stored secret or password accepted, in bytes.
const MaxSecret = 4096

// Kind says in which form a secret is stored.
type Kind uint8

// The forms of a stored secret. The zero value holds nothing and matches nothing.
const (
	KindNone  Kind = iota // no secret: no password login is possible
	KindPlain             // the password itself
	KindMD5               // "md5" and md5(password + user) in hex
	KindSCRAM             // a SCRAM-SHA-256 verifier
)

// String returns the name users know the kind by.
func (k Kind) String() string {
	switch k {
	case KindPlain:
		return "plain"
	case KindMD5:
		return "md5"
	case KindSCRAM:
		return "scram-sha-256"
	default:
		return "none"
	}
}

// Secret is what is stored about a user's password. It is immutable and safe to
// share. The zero value is a secret of KindNone.
type Secret struct {
	kind Kind
	body *hiddenBody
}

// hiddenBody keeps the body two pointers away from a Secret: fmt, printing a struct
// that holds one in an unexported field, follows one pointer at most.
type hiddenBody struct{ *secretBody }

type secretBody struct {
	text     string // of KindPlain and KindMD5
	verifier Verifier
	mock     bool // verification runs in full and then fails
}

var (
	errSecretLong    = errors.New("parse secret: longer than 4096 bytes")
	errSecretNUL     = errors.New("parse secret: contains a zero byte")
	errSecretUnknown = errors.New("parse secret: starts like a SCRAM verifier but is none; expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
)

const scramPrefix = "SCRAM-SHA-256$"

// ParseSecret reads a secret as PostgreSQL's pg_authid and PgBouncer's userlist
// store it. An empty string gives KindNone. What starts like a SCRAM verifier and
// is damaged is an error rather than a plain password. Errors never quote s.
func ParseSecret(s string) (Secret, error) {
	switch {
	case s == "":
		return Secret{}, nil
	case len(s) > MaxSecret:
		return Secret{}, errSecretLong
	case strings.IndexByte(s, 0) >= 0:
		return Secret{}, errSecretNUL
	case isMD5Secret(s):
		return newSecret(KindMD5, secretBody{text: s}), nil
	case strings.HasPrefix(s, scramPrefix):
		v, ok := parseVerifier(s[len(scramPrefix):])
		if !ok {
			return Secret{}, errSecretUnknown
		}
		return SecretFromVerifier(v), nil
	}
	return newSecret(KindPlain, secretBody{text: s}), nil
}

// SecretFromVerifier wraps a verifier.
func SecretFromVerifier(v Verifier) Secret {
	return newSecret(KindSCRAM, secretBody{verifier: v, mock: v.mock})
}

func newSecret(k Kind, b secretBody) Secret { return Secret{k, &hiddenBody{&b}} }

// Kind returns the form of the secret.
func (s Secret) Kind() Kind { return s.kind }

// Plain returns the password of a KindPlain secret.
func (s Secret) Plain() (string, bool) { return s.textOf(KindPlain) }

// MD5 returns the text "md5…" of a KindMD5 secret.
func (s Secret) MD5() (string, bool) { return s.textOf(KindMD5) }

func (s Secret) textOf(k Kind) (string, bool) {
	if s.kind != k || s.body == nil {
		return "", false
	}
	return s.body.text, true
}

// Verifier returns the verifier of a KindSCRAM secret. Its salt is shared: do not
// change it.
func (s Secret) Verifier() (Verifier, bool) {
	if s.kind != KindSCRAM || s.body == nil {
		return Verifier{}, false
	}
	return s.body.verifier, true
}

// Equal reports in constant time for equal kinds whether two secrets are the same,
// as a reload asks.
func (s Secret) Equal(o Secret) bool {
	if s.kind != o.kind || s.kind == KindNone {
		return s.kind == o.kind
	}
	if s.kind == KindSCRAM {
		return s.body.verifier.equal(o.body.verifier)
	}
	return subtle.ConstantTimeCompare([]byte(s.body.text), []byte(o.body.text)) == 1
}

// String names the kind and shows nothing of the secret.
func (s Secret) String() string { return "secret(" + s.kind.String() + ")" }

// PlainSecret takes the text as a password, whatever it looks like: one that a
// client proved in the clear. Empty gives KindNone.
func PlainSecret(password string) Secret {
	if password == "" || len(password) > MaxSecret {
		return Secret{}
	}
	return newSecret(KindPlain, secretBody{text: password})
}
