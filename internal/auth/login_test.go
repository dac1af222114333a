package auth

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func saslList(names ...string) []byte { return []byte(strings.Join(names, "\x00") + "\x00\x00") }

func TestLoginPlainMethods(t *testing.T) {
	salt := [4]byte{1, 2, 3, 4}
	hashed, _ := ParseSecret(MD5Secret("u", "secret"))
	response := MD5Response(MD5Secret("u", "secret"), salt) + "\x00"
	for _, c := range []struct {
		name   string
		secret Secret
		code   uint32
		body   []byte
		want   string
	}{
		{"cleartext", PlainSecret("secret"), CodeCleartextPassword, nil, "secret\x00"},
		{"md5 from plain", PlainSecret("secret"), CodeMD5Password, salt[:], response},
		{"md5 from hash", hashed, CodeMD5Password, salt[:], response},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewServerLogin(LoginConfig{User: "u", Secret: c.secret, AllowCleartext: true})
			r, err := l.Step(c.code, c.body)
			if err != nil || r.Kind != ReplyPassword || string(r.Body) != c.want {
				t.Fatalf("reply %d %q, %v", r.Kind, r.Body, err)
			}
			if r, err := l.Step(CodeOK, nil); err != nil || r.Kind != ReplyAccepted {
				t.Fatalf("%d, %v", r.Kind, err)
			}
			if _, err := l.Step(CodeOK, nil); err == nil {
				t.Fatal("accepted twice")
			}
		})
	}
}

func TestLoginSCRAM(t *testing.T) {
	v := fastSecret(t, "secret")
	end := []byte("end point")
	keys, err := DeriveKeys("secret", v.Salt, v.Iterations)
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]LoginConfig{
		"password":                 {Secret: PlainSecret("secret")},
		"keys":                     {SCRAM: ClientConfig{Keys: &keys}},
		"keys beside the verifier": {Secret: SecretFromVerifier(v), SCRAM: ClientConfig{Keys: &keys}},
		"required binding":         {Secret: PlainSecret("secret"), SCRAM: ClientConfig{Binding: BindingRequire}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.SCRAM.TLS, cfg.SCRAM.EndPoint = true, end
			l := NewServerLogin(cfg)
			r, err := l.Step(CodeSASL, saslList(Mechanisms(end)...))
			if err != nil || r.Kind != ReplySASLInitial || r.Mechanism != MechanismSCRAMPlus {
				t.Fatalf("%+v, %v", r, err)
			}
			server, err := NewServerExchange(ServerConfig{Mechanism: r.Mechanism, Verifier: v, EndPoint: end})
			if err != nil {
				t.Fatal(err)
			}
			finishLogin(t, l, server, r)
		})
	}
}

func finishLogin(t *testing.T, l *ServerLogin, server *ServerExchange, r LoginReply) {
	t.Helper()
	first, _, err := server.Step(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, plain := l.cfg.Secret.Plain()
	if l.Slow(CodeSASLContinue) != plain {
		t.Errorf("slow: %v", l.Slow(CodeSASLContinue))
	}
	if r, err = l.Step(CodeSASLContinue, first); err != nil || r.Kind != ReplySASL {
		t.Fatalf("%+v, %v", r, err)
	}
	final, done, err := server.Step(r.Body)
	if err != nil || !done {
		t.Fatal(done, err)
	}
	if r, err = l.Step(CodeSASLFinal, final); err != nil || r.Kind != ReplyNone {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = l.Step(CodeOK, nil); err != nil || r.Kind != ReplyAccepted {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, ok := l.Keys(); !ok {
		t.Error("no keys to keep")
	}
}

func TestLoginTrust(t *testing.T) {
	if r, err := NewServerLogin(LoginConfig{}).Step(CodeOK, nil); err != nil || r.Kind != ReplyAccepted {
		t.Fatalf("%+v, %v", r, err)
	}
	require := ClientConfig{Binding: BindingRequire}
	for code, body := range map[uint32][]byte{CodeOK: nil, CodeCleartextPassword: nil, CodeMD5Password: {1, 2, 3, 4}, CodeSASL: saslList(MechanismSCRAM)} {
		l := NewServerLogin(LoginConfig{Secret: PlainSecret("a"), AllowCleartext: true, SCRAM: require})
		if _, err := l.Step(code, body); !errors.Is(err, ErrBindingRequired) {
			t.Errorf("code %d under channel_binding=require: %v", code, err)
		}
	}
}

func TestLoginMismatch(t *testing.T) {
	hashed, _ := ParseSecret(MD5Secret("u", "secret"))
	verifier := SecretFromVerifier(fastSecret(t, "secret"))
	keys := SCRAMKeys{Iterations: 1, Salt: []byte("x")}
	sasl, salt := saslList(MechanismSCRAM), []byte{1, 2, 3, 4}
	for _, c := range []struct {
		name  string
		cfg   LoginConfig
		code  uint32
		body  []byte
		words []string
	}{
		{"md5, have keys", LoginConfig{SCRAM: ClientConfig{Keys: &keys}}, CodeMD5Password, salt, []string{"md5", "SCRAM keys", "password_encryption"}},
		{"md5, have verifier", LoginConfig{Secret: verifier}, CodeMD5Password, salt, []string{"md5", "SCRAM secret"}},
		{"md5, have nothing", LoginConfig{}, CodeMD5Password, salt, []string{"md5", "no secret"}},
		{"scram, have md5", LoginConfig{Secret: hashed}, CodeSASL, sasl, []string{"SCRAM", "md5 hash", "rolpassword"}},
		{"scram, have verifier", LoginConfig{Secret: verifier}, CodeSASL, sasl, []string{"SCRAM", "cannot log in"}},
		{"scram, have nothing", LoginConfig{}, CodeSASL, sasl, []string{"SCRAM", "no secret", "userlist"}},
		{"cleartext, have md5", LoginConfig{Secret: hashed, AllowCleartext: true}, CodeCleartextPassword, nil, []string{"in the clear", "md5 hash"}},
		{"cleartext, have keys", LoginConfig{SCRAM: ClientConfig{Keys: &keys}}, CodeCleartextPassword, nil, []string{"in the clear", "SCRAM keys"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.User = "alice"
			l := NewServerLogin(c.cfg)
			_, err := l.Step(c.code, c.body)
			var m *MismatchError
			if !errors.As(err, &m) {
				t.Fatalf("got %v", err)
			}
			for _, w := range append(c.words, `"alice"`) {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q does not say %q", err, w)
				}
			}
			if _, err := l.Step(CodeOK, nil); err == nil {
				t.Error("the login goes on")
			}
		})
	}
}

// Other salt on the server than in the userlist: the commonest pass-through mistake.
func TestLoginOtherSalt(t *testing.T) {
	keys, err := DeriveKeys("secret", []byte("another salt"), 2)
	if err != nil {
		t.Fatal(err)
	}
	l := NewServerLogin(LoginConfig{User: "alice", SCRAM: ClientConfig{Keys: &keys}})
	r, err := l.Step(CodeSASL, saslList(MechanismSCRAM))
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServerExchange(ServerConfig{Mechanism: r.Mechanism, Verifier: fastSecret(t, "secret")})
	if err != nil {
		t.Fatal(err)
	}
	first, _, err := server.Step(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Step(CodeSASLContinue, first)
	var m *MismatchError
	if !errors.As(err, &m) || !strings.Contains(err.Error(), "salt") || !strings.Contains(err.Error(), `"alice"`) {
		t.Fatalf("got %v", err)
	}
}

func TestLoginRefuses(t *testing.T) {
	start := func() *ServerLogin {
		return NewServerLogin(LoginConfig{User: "u", Secret: PlainSecret("secret")})
	}
	for _, code := range []uint32{1, CodeKerberosV5, 4, 6, CodeGSS, CodeGSSContinue, CodeSSPI, CodeSASLContinue, CodeSASLFinal, 13, 1 << 31} {
		if r, err := start().Step(code, []byte{1, 2, 3, 4}); err == nil {
			t.Errorf("code %d answered by %+v", code, r)
		}
	}
	if _, err := start().Step(CodeCleartextPassword, nil); !errors.Is(err, ErrCleartext) {
		t.Errorf("password in the clear: %v", err)
	}
	for _, salt := range [][]byte{nil, {1}, {1, 2, 3}, {1, 2, 3, 4, 5}, make([]byte, 5000)} {
		if _, err := start().Step(CodeMD5Password, salt); err == nil {
			t.Errorf("md5 salt of %d bytes accepted", len(salt))
		}
	}
	// A server may not skip its own proof, nor ask again.
	for _, code := range []uint32{CodeOK, CodeCleartextPassword, CodeMD5Password, CodeSASL, CodeSASLFinal} {
		l := start()
		if _, err := l.Step(CodeSASL, saslList(MechanismSCRAM)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Step(code, []byte{1, 2, 3, 4}); err == nil {
			t.Errorf("code %d accepted in the middle of SCRAM", code)
		}
	}
	l := start()
	if _, err := l.Step(CodeMD5Password, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Step(CodeMD5Password, []byte{1, 2, 3, 4}); err == nil {
		t.Error("a second password was sent")
	}
}

func TestParseMechanisms(t *testing.T) {
	got, err := ParseMechanisms(saslList(MechanismSCRAMPlus, MechanismSCRAM))
	if err != nil || len(got) != 2 || got[0] != MechanismSCRAMPlus || got[1] != MechanismSCRAM {
		t.Fatal(got, err)
	}
	if got, err := ParseMechanisms([]byte{0}); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	for name, body := range map[string][]byte{
		"empty": nil, "no end": []byte("SCRAM-SHA-256\x00"), "no zero": []byte("SCRAM-SHA-256"),
		"more after the end": []byte("a\x00\x00b"), "long name": append(bytes.Repeat([]byte("a"), 65), 0, 0),
		"too many": append(bytes.Repeat([]byte("a\x00"), 40), 0),
	} {
		if got, err := ParseMechanisms(body); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
