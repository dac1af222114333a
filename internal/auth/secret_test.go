package auth

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const rfcVerifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

var secretSeeds = []string{
	"", "hunter2", "md5", "md50123456789abcdef0123456789abcdef", "md50123456789ABCDEF0123456789ABCDEF",
	"md50123456789abcdef0123456789abcdeg", rfcVerifier, rfcVerifier + "A", rfcVerifier[:60], "SCRAM-SHA-256$",
	"SCRAM-SHA-256$1:$:", "SCRAM-SHA-256$-1:AAAA$AAAA:AAAA", "SCRAM-SHA-1$x", "a\x00b",
	"SCRAM-SHA-256$0" + rfcVerifier[18:], "SCRAM-SHA-256$99999999999" + rfcVerifier[18:],
	strings.Replace(rfcVerifier, "$WG", "$\nWG", 1), strings.Repeat("x", MaxSecret+1),
}

func TestParseSecret(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Kind
		bad  bool
	}{
		{"", KindNone, false},
		{"hunter2", KindPlain, false},
		{"md5", KindPlain, false},
		{"md50123456789abcdef0123456789abcdef", KindMD5, false},
		{"md50123456789ABCDEF0123456789ABCDEF", KindPlain, false}, // as PostgreSQL
		{"md50123456789abcdef0123456789abcdeff", KindPlain, false},
		{rfcVerifier, KindSCRAM, false},
		{"SCRAM-SHA-1$whatever", KindPlain, false},
		{"SCRAM-SHA-256$", KindNone, true},
		{rfcVerifier + "A", KindNone, true},
		{rfcVerifier[:len(rfcVerifier)-4], KindNone, true},
		{strings.Replace(rfcVerifier, "4096", "0", 1), KindNone, true},
		{strings.Replace(rfcVerifier, "4096", "-4096", 1), KindNone, true},
		{strings.Replace(rfcVerifier, "4096", "2147483648", 1), KindNone, true},
		{strings.Replace(rfcVerifier, "W22ZaJ0SNY7soEsUEjb6gQ==", "", 1), KindNone, true},
		{strings.Replace(rfcVerifier, "$WG", "$\nWG", 1), KindNone, true},
		{"a\x00b", KindNone, true},
		{strings.Repeat("x", MaxSecret), KindPlain, false},
		{strings.Repeat("x", MaxSecret+1), KindNone, true},
	} {
		s, err := ParseSecret(c.in)
		if s.Kind() != c.want || (err != nil) != c.bad {
			t.Errorf("ParseSecret(%.60q) = %v, %v", c.in, s.Kind(), err)
		}
	}
}

func TestVerifierRoundTrip(t *testing.T) {
	s, err := ParseSecret(rfcVerifier)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := s.Verifier()
	if v.Encode() != rfcVerifier {
		t.Fatalf("encoded %s", v.Encode())
	}
	derived := rfcKeys(t).Verifier()
	if derived.Encode() != rfcVerifier || !s.Equal(SecretFromVerifier(derived)) {
		t.Fatal("the derived verifier differs from the RFC's password")
	}
}

func TestSecretFromPasswordBounds(t *testing.T) {
	salt := []byte("salt")
	for _, c := range []struct {
		salt       []byte
		iterations int
	}{{salt, 0}, {salt, -1}, {salt, MaxIterations + 1}, {nil, 1}, {make([]byte, MaxSalt+1), 1}} {
		if _, err := SecretFromPassword("a", c.salt, c.iterations); err == nil {
			t.Errorf("salt of %d bytes, %d iterations accepted", len(c.salt), c.iterations)
		}
	}
	salt, err := NewSalt(bytes.NewReader(make([]byte, SaltSize)))
	if err != nil || len(salt) != SaltSize {
		t.Fatal(salt, err)
	}
}

func TestSecretEqual(t *testing.T) {
	parse := func(text string) Secret {
		s, err := ParseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	all := []Secret{{}, parse("a"), parse("b"), parse("md50123456789abcdef0123456789abcdef"), parse(rfcVerifier)}
	for i, a := range all {
		for j, b := range all {
			if a.Equal(b) != (i == j) {
				t.Errorf("secrets %d and %d: equal is %v", i, j, a.Equal(b))
			}
		}
	}
}

// No way of printing shows a secret, whatever holds it.
func TestSecretsAreHidden(t *testing.T) {
	plain, _ := ParseSecret("hunter2")
	scram, _ := ParseSecret(rfcVerifier)
	v, _ := scram.Verifier()
	key, _ := ParseCancelKey([]byte("hunter2"))
	keys := rfcKeys(t)
	keys.ClientKey, keys.ServerKey = v.StoredKey, v.StoredKey // bytes to look for
	server := &ServerExchange{verifier: v, clientKey: v.StoredKey}
	client := &ClientExchange{cfg: ClientConfig{Password: plain}, keys: keys}
	login := NewServerLogin(LoginConfig{Secret: plain, SCRAM: ClientConfig{Keys: &keys}})
	type holder struct {
		secret Secret
		Secret Secret
		Key    Key
		Cancel CancelKey
		Keys   *SCRAMKeys
		Login  *ServerLogin
	}
	for _, x := range []any{
		plain, scram, &plain, key, v, v.StoredKey, keys, &keys, server, client, login,
		LoginConfig{Secret: plain, SCRAM: ClientConfig{Password: plain, Keys: &keys}},
		holder{plain, plain, v.StoredKey, key, &keys, login},
		&holder{scram, scram, v.StoredKey, key, &keys, login},
	} {
		checkHidden(t, x)
	}
}

func checkHidden(t *testing.T, x any) {
	t.Helper()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "x", x)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "x", x)
	outs := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		outs = append(outs, fmt.Sprintf(verb, x))
	}
	for _, out := range outs {
		for _, secret := range []string{"hunter2", "68756e74657232", "aHVudGVyMg", "WG5d8o", "[104 117 110", "[104,117,110", "0x68, 0x75", "88 110 93", "88,110,93", "0x58, 0x6e", "586e5d"} {
			if strings.Contains(out, secret) {
				t.Errorf("%T shows %q: %.300s", x, secret, out)
			}
		}
	}
}

func TestMD5(t *testing.T) {
	// SELECT 'md5' || md5('secret' || 'alice')
	secret := MD5Secret("alice", "secret")
	if secret != "md548cb25dc38e59cd21caa63bb8bec3e7d" && !isMD5Secret(secret) {
		t.Fatalf("MD5Secret = %s", secret)
	}
	salt := [4]byte{1, 2, 3, 4}
	response := MD5Response(secret, salt)
	hashed, _ := ParseSecret(secret)
	for _, c := range []struct {
		s        Secret
		user     string
		response string
		want     bool
	}{
		{hashed, "alice", response, true},
		{hashed, "bob", response, true}, // the name is inside the hash
		{PlainSecret("secret"), "alice", response, true},
		{PlainSecret("secret"), "bob", response, false},
		{PlainSecret("other"), "alice", response, false},
		{hashed, "alice", "", false},
		{hashed, "alice", secret, false},
		{hashed, "alice", response + "x", false},
		{Secret{}, "alice", response, false},
		{Secret{}, "alice", "", false},
		{SecretFromVerifier(fastSecret(t, "secret")), "alice", response, false},
	} {
		if got := VerifyMD5(c.s, c.user, salt, c.response); got != c.want {
			t.Errorf("VerifyMD5(%v, %s, %q) = %v", c.s, c.user, c.response, got)
		}
	}
	if MD5Response("secret", salt) != "" {
		t.Error("MD5Response took a plain password for a hash")
	}
}

func TestVerifyPassword(t *testing.T) {
	hashed, _ := ParseSecret(MD5Secret("alice", "secret"))
	for _, s := range []Secret{PlainSecret("secret"), hashed, SecretFromVerifier(fastSecret(t, "secret"))} {
		for password, want := range map[string]bool{"secret": true, "Secret": false, "": false, "secretsecret": false, strings.Repeat("x", MaxSecret+1): false} {
			if got := VerifyPassword(s, "alice", password); got != want {
				t.Errorf("VerifyPassword(%v, %.20q) = %v", s, password, got)
			}
		}
	}
	if VerifyPassword(Secret{}, "alice", "") || VerifyPassword(PlainSecret(""), "alice", "") {
		t.Error("an empty password matches an empty secret")
	}
	expensive := fastSecret(t, "secret")
	expensive.Iterations = MaxIterations + 1
	if VerifyPassword(SecretFromVerifier(expensive), "alice", "secret") {
		t.Error("iterations above the cap were computed")
	}
}

func FuzzParseSecret(f *testing.F) {
	for _, s := range secretSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSecret(text)
		if err != nil {
			if s.Kind() != KindNone {
				t.Fatal("an error with a secret")
			}
			if err != errSecretLong && err != errSecretNUL && err != errSecretUnknown { //nolint:errorlint // these very values: they quote nothing
				t.Fatal("the error may quote the secret")
			}
			return
		}
		if v, ok := s.Verifier(); ok {
			again, err := ParseSecret(v.Encode())
			if err != nil || !again.Equal(s) {
				t.Fatalf("%q does not survive a round trip: %v", text, err)
			}
		}
	})
}
