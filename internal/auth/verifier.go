package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	// DefaultIterations is PostgreSQL's default of scram_iterations.
	DefaultIterations = 4096
	// MaxIterations caps the PBKDF2 rounds a peer or a caller can make us compute
	// unless a config sets another cap: about a quarter of a second of one core.
	MaxIterations = 1_000_000
	// SaltSize is the length in bytes of the salts PostgreSQL and we generate.
	SaltSize = 16
	// MaxSalt is the longest salt accepted, in bytes.
	MaxSalt = 1024
)

// Key is a SCRAM-SHA-256 key (ClientKey, StoredKey or ServerKey).
type Key [sha256.Size]byte

// Verifier is a parsed SCRAM-SHA-256 secret: enough to verify a client and to
// prove ourselves to it, not enough to log in elsewhere.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  Key
	ServerKey  Key
	// mock makes every verification fail at its end; set by Mock only.
	mock bool
}

// SCRAMKeys are what logs in to a server without the password. They hold only
// for a server whose verifier has the same salt and iterations.
type SCRAMKeys struct {
	Iterations int
	Salt       []byte
	ClientKey  Key
	ServerKey  Key
}

var (
	errIterations = errors.New("derive SCRAM keys: iterations out of range")
	errSaltSize   = errors.New("derive SCRAM keys: salt is empty or too long")
)

// NewSalt returns SaltSize fresh bytes from random, usually crypto/rand.Reader.
func NewSalt(random io.Reader) ([]byte, error) {
	salt := make([]byte, SaltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, fmt.Errorf("read salt: %w", err)
	}
	return salt, nil
}

// SecretFromPassword derives the SCRAM secret PostgreSQL would store for the
// password. It is slow on purpose (a millisecond at 4096 iterations): run it off
// the loop. It keeps salt. Iterations are bounded by MaxIterations.
func SecretFromPassword(password string, salt []byte, iterations int) (Secret, error) {
	k, err := DeriveKeys(password, salt, iterations)
	if err != nil {
		return Secret{}, err
	}
	return SecretFromVerifier(k.Verifier()), nil
}

// DeriveKeys derives the keys of a password, after SASLprep. Slow as
// SecretFromPassword is. It keeps salt.
func DeriveKeys(password string, salt []byte, iterations int) (SCRAMKeys, error) {
	if iterations > MaxIterations {
		return SCRAMKeys{}, errIterations
	}
	return deriveKeys(password, salt, iterations)
}

// deriveKeys is DeriveKeys for callers that have applied their own cap.
func deriveKeys(password string, salt []byte, iterations int) (SCRAMKeys, error) {
	if iterations < 1 {
		return SCRAMKeys{}, errIterations
	}
	if len(salt) == 0 || len(salt) > MaxSalt {
		return SCRAMKeys{}, errSaltSize
	}
	salted, err := pbkdf2.Key(sha256.New, SASLprep(password), salt, iterations, sha256.Size)
	if err != nil {
		return SCRAMKeys{}, fmt.Errorf("derive SCRAM keys: %w", err)
	}
	return SCRAMKeys{
		Iterations: iterations,
		Salt:       salt,
		ClientKey:  keyedHash(salted, "Client Key"),
		ServerKey:  keyedHash(salted, "Server Key"),
	}, nil
}

// Verifier returns the verifier that accepts these keys.
func (k SCRAMKeys) Verifier() Verifier {
	return Verifier{
		Iterations: k.Iterations,
		Salt:       k.Salt,
		StoredKey:  sha256.Sum256(k.ClientKey[:]),
		ServerKey:  k.ServerKey,
	}
}

// fits reports whether the keys were derived with this salt and this cost.
func (k *SCRAMKeys) fits(salt []byte, iterations int) bool {
	return k != nil && k.Iterations == iterations && bytes.Equal(k.Salt, salt)
}

func (v Verifier) equal(o Verifier) bool {
	same := subtle.ConstantTimeCompare(v.StoredKey[:], o.StoredKey[:]) &
		subtle.ConstantTimeCompare(v.ServerKey[:], o.ServerKey[:])
	return same == 1 && v.Iterations == o.Iterations && bytes.Equal(v.Salt, o.Salt)
}

// Encode returns the form stored in pg_authid. It is a secret.
func (v Verifier) Encode() string {
	b64 := base64.StdEncoding.EncodeToString
	return scramPrefix + strconv.Itoa(v.Iterations) + ":" + b64(v.Salt) + "$" +
		b64(v.StoredKey[:]) + ":" + b64(v.ServerKey[:])
}

// parseVerifier reads iterations:salt$StoredKey:ServerKey.
func parseVerifier(s string) (v Verifier, ok bool) {
	cost, keys, ok1 := strings.Cut(s, "$")
	count, salt, ok2 := strings.Cut(cost, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok1 || !ok2 || !ok3 {
		return Verifier{}, false
	}
	n, err := parseCount(count)
	if err != nil || n > math.MaxInt32 {
		return Verifier{}, false
	}
	v.Iterations = n
	v.Salt, ok = decodeBase64(salt, MaxSalt)
	if !ok || len(v.Salt) == 0 {
		return Verifier{}, false
	}
	return v, decodeKey(&v.StoredKey, stored) && decodeKey(&v.ServerKey, server)
}

// parseCount reads a positive decimal of at most ten digits and nothing else.
func parseCount(s string) (int, error) {
	if len(s) == 0 || len(s) > 10 || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && (n < 1 || n > math.MaxInt32) {
		err = strconv.ErrRange
	}
	return int(n), err
}

func decodeKey(k *Key, s string) bool {
	b, ok := decodeBase64(s, len(k))
	return ok && copy(k[:], b) == len(k)
}

// decodeBase64 decodes padded standard base64 of at most limit bytes, in its one
// canonical form. Unlike the standard decoder it does not skip line ends.
func decodeBase64(s string, limit int) ([]byte, bool) {
	if len(s) > base64.StdEncoding.EncodedLen(limit) || strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return b, err == nil && len(b) <= limit
}

// keyedHash is HMAC-SHA-256.
func keyedHash(key []byte, parts ...string) Key {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		_, _ = io.WriteString(mac, p) // a hash never fails to write
	}
	var sum Key
	mac.Sum(sum[:0])
	return sum
}
