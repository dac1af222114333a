package auth

import (
	"crypto/md5" //nolint:gosec // PostgreSQL's md5 method is what it is
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

const md5SecretSize = 3 + 2*md5.Size

// isMD5Secret reports whether s is "md5" and 32 lower-case hex digits. Anything
// else that starts with md5 is a plain password, as PostgreSQL sees it.
func isMD5Secret(s string) bool {
	return len(s) == md5SecretSize && strings.HasPrefix(s, "md5") && strings.Trim(s[3:], "0123456789abcdef") == ""
}

func md5Hex(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// MD5Secret returns "md5…", the form in which PostgreSQL stores a password under md5.
func MD5Secret(user, password string) string { return "md5" + md5Hex(password, user) }

// MD5Response returns what a client answers to AuthenticationMD5Password. secret
// is what MD5Secret returns; the result is empty for anything else.
func MD5Response(secret string, salt [4]byte) string {
	if !isMD5Secret(secret) {
		return ""
	}
	return "md5" + md5Hex(secret[3:], string(salt[:]))
}

// VerifyMD5 checks a client's answer to AuthenticationMD5Password against a plain
// or md5 secret. A secret of another kind never matches.
func VerifyMD5(s Secret, user string, salt [4]byte, response string) bool {
	stored := ""
	switch s.kind {
	case KindPlain:
		stored = MD5Secret(user, s.body.text)
	case KindMD5:
		stored = s.body.text
	case KindNone, KindSCRAM:
		return false
	}
	return s.matches(MD5Response(stored, salt), response)
}

// VerifyPassword checks a password sent in the clear against a secret of any kind.
// With a SCRAM secret it runs PBKDF2: run it off the loop. Iterations above
// MaxIterations never match.
func VerifyPassword(s Secret, user, password string) bool {
	if password == "" || len(password) > MaxSecret {
		return false
	}
	switch s.kind {
	case KindPlain:
		return s.matches(s.body.text, password)
	case KindMD5:
		return s.matches(s.body.text, MD5Secret(user, password))
	case KindSCRAM:
		v := s.body.verifier
		keys, err := DeriveKeys(password, v.Salt, v.Iterations)
		return err == nil && subtle.ConstantTimeCompare(keys.ServerKey[:], v.ServerKey[:]) == 1 && !v.mock
	case KindNone:
	}
	return false
}

// matches compares in constant time, whatever the lengths, and then refuses mocks.
func (s Secret) matches(want, got string) bool {
	w, g := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(w[:], g[:]) == 1 && !s.body.mock
}
