package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// RFC 7677, section 3.
const (
	rfcBare   = "n=user,r=rOprNGfwEbeRWgbNEkqO"
	rfcNonce  = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcFirst  = "r=" + rfcNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfcFinal  = "c=biws,r=" + rfcNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcServer = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func rfcKeys(t testing.TB) SCRAMKeys {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	k, err := DeriveKeys("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestServerRFC7677(t *testing.T) {
	keys := rfcKeys(t)
	x, err := NewServerExchange(ServerConfig{Mechanism: MechanismSCRAM, Verifier: keys.Verifier()})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Step([]byte("n,," + rfcBare)); err != nil {
		t.Fatal(err)
	}
	// The nonce is random; put the RFC's in its place.
	x.nonce, x.first = rfcNonce, rfcFirst
	reply, done, err := x.Step([]byte(rfcFinal))
	if err != nil || !done || string(reply) != rfcServer {
		t.Fatalf("reply %q, done %v, err %v", reply, done, err)
	}
	got, ok := x.Keys()
	if !ok || got.ClientKey != keys.ClientKey || !got.fits(keys.Salt, keys.Iterations) {
		t.Fatal("the recovered keys are not the user's")
	}
}

func TestClientRFC7677(t *testing.T) {
	keys := rfcKeys(t)
	authMessage := rfcBare + "," + rfcFirst + ",c=biws,r=" + rfcNonce
	proof := xorKeys(keys.ClientKey, clientSignature(keys.ClientKey, authMessage))
	if got := base64.StdEncoding.EncodeToString(proof[:]); !strings.HasSuffix(rfcFinal, ",p="+got) {
		t.Fatalf("proof %s", got)
	}
	x := &ClientExchange{state: clientFinal, keys: keys, authMessage: authMessage}
	if _, done, err := x.Step([]byte(rfcServer)); err != nil || !done {
		t.Fatalf("done %v, err %v", done, err)
	}
}

// pair is both sides of one login.
type pair struct {
	client *ClientExchange
	server *ServerExchange
}

func newPair(t testing.TB, cc ClientConfig, sc ServerConfig) pair {
	t.Helper()
	client, err := NewClientExchange(Mechanisms(sc.EndPoint), cc)
	if err != nil {
		t.Fatal(err)
	}
	sc.Mechanism = client.Mechanism()
	server, err := NewServerExchange(sc)
	if err != nil {
		t.Fatal(err)
	}
	return pair{client, server}
}

// run plays the exchange; tamper may change each message by its number from 0.
func (p pair) run(tamper func(i int, msg []byte) []byte) error {
	msg := tamper(0, p.client.First())
	for i := 1; ; i += 2 {
		reply, done, err := p.server.Step(msg)
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		msg, _, err = p.client.Step(tamper(i, reply))
		if err != nil {
			return fmt.Errorf("client: %w", err)
		}
		if done {
			return nil
		}
		msg = tamper(i+1, msg)
	}
}

func untouched(_ int, msg []byte) []byte { return msg }

func fastSecret(t testing.TB, password string) Verifier {
	t.Helper()
	s, err := SecretFromPassword(password, []byte("0123456789abcdef"), 2)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := s.Verifier()
	return v
}

func TestBothSides(t *testing.T) {
	end := bytes.Repeat([]byte{7}, 32)
	for _, c := range []struct {
		name  string
		cc    ClientConfig
		sc    ServerConfig
		bound bool
	}{
		{"plain", ClientConfig{}, ServerConfig{}, false},
		{"bound", ClientConfig{TLS: true, EndPoint: end}, ServerConfig{EndPoint: end}, true},
		{"bound required", ClientConfig{TLS: true, EndPoint: end, Binding: BindingRequire}, ServerConfig{EndPoint: end}, true},
		{"binding disabled", ClientConfig{TLS: true, EndPoint: end, Binding: BindingDisable}, ServerConfig{EndPoint: end}, false},
		{"server cannot bind", ClientConfig{TLS: true, EndPoint: end}, ServerConfig{}, false},
		{"client cannot bind", ClientConfig{TLS: true}, ServerConfig{EndPoint: end}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cc.Password, c.sc.Verifier = PlainSecret("pässword"), fastSecret(t, "pässword")
			p := newPair(t, c.cc, c.sc)
			if err := p.run(untouched); err != nil {
				t.Fatal(err)
			}
			if p.server.Bound() != c.bound || p.client.Bound() != c.bound || !p.client.Verified() {
				t.Fatalf("bound: server %v, client %v, want %v", p.server.Bound(), p.client.Bound(), c.bound)
			}
			passThrough(t, p, c.sc)
		})
	}
}

// passThrough logs in again with the keys the server recovered, without a password.
func passThrough(t *testing.T, p pair, sc ServerConfig) {
	t.Helper()
	keys, ok := p.server.Keys()
	if !ok {
		t.Fatal("no keys after success")
	}
	again := newPair(t, ClientConfig{Keys: &keys}, ServerConfig{Verifier: sc.Verifier})
	if again.client.Slow() {
		t.Error("pass-through claims to be slow")
	}
	if err := again.run(untouched); err != nil {
		t.Fatalf("pass-through: %v", err)
	}
}

func TestPassThroughNeedsSameVerifier(t *testing.T) {
	keys, err := DeriveKeys("secret", []byte("another salt 123"), 2)
	if err != nil {
		t.Fatal(err)
	}
	v := fastSecret(t, "secret")
	var mismatch *MismatchError
	if err := newPair(t, ClientConfig{Keys: &keys}, ServerConfig{Verifier: v}).run(untouched); !errors.As(err, &mismatch) {
		t.Fatalf("got %v, want a MismatchError", err)
	}
	if err := newPair(t, ClientConfig{Keys: &keys, Password: PlainSecret("secret")}, ServerConfig{Verifier: v}).run(untouched); err != nil {
		t.Fatalf("the password beside stale keys: %v", err)
	}
}

func TestNoInitialResponse(t *testing.T) {
	p := newPair(t, ClientConfig{Password: PlainSecret("a")}, ServerConfig{Verifier: fastSecret(t, "a")})
	reply, done, err := p.server.Step(nil)
	if err != nil || done || reply == nil || len(reply) != 0 {
		t.Fatalf("reply %q, done %v, err %v", reply, done, err)
	}
	if err := p.run(untouched); err != nil {
		t.Fatal(err)
	}
}

// Every changed byte of every message must end the login on one side.
func TestTamper(t *testing.T) {
	end := bytes.Repeat([]byte{7}, 32)
	v := fastSecret(t, "a")
	for msg := range 4 {
		for at := range 400 {
			touched := false
			p := newPair(t, ClientConfig{Password: PlainSecret("a"), TLS: true, EndPoint: end}, ServerConfig{Verifier: v, EndPoint: end})
			err := p.run(func(i int, m []byte) []byte {
				if i == msg && at < len(m) {
					m, touched = bytes.Clone(m), true
					m[at] ^= 1
				}
				return m
			})
			if touched && err == nil {
				t.Errorf("message %d with byte %d changed was accepted", msg, at)
			}
			if touched && p.client.Verified() {
				t.Errorf("message %d with byte %d changed: the client believes the server", msg, at)
			}
		}
	}
}

// Every truncation must, too, and leave the exchange dead.
func TestTruncate(t *testing.T) {
	v := fastSecret(t, "a")
	for msg := range 4 {
		for keep := range 120 {
			touched := false
			p := newPair(t, ClientConfig{Password: PlainSecret("a")}, ServerConfig{Verifier: v})
			err := p.run(func(i int, m []byte) []byte {
				if i == msg && keep < len(m) {
					touched = true
					return m[:keep]
				}
				return m
			})
			if touched && err == nil {
				t.Errorf("message %d cut to %d bytes was accepted", msg, keep)
			}
		}
	}
}

func TestServerRefuses(t *testing.T) {
	end := bytes.Repeat([]byte{7}, 32)
	for _, c := range []struct {
		name, mechanism, msg, state string
		endPoint                    []byte
	}{
		{"empty", MechanismSCRAM, "", "08P01", nil},
		{"zero byte", MechanismSCRAM, "n,,n=,r=abc\x00", "08P01", nil},
		{"oversized", MechanismSCRAM, "n,,n=,r=" + strings.Repeat("a", 2000), "08P01", nil},
		{"unknown flag", MechanismSCRAM, "x,,n=,r=abc", "08P01", nil},
		{"n with plus", MechanismSCRAMPlus, "n,,n=,r=abc", "08P01", end},
		{"y with plus", MechanismSCRAMPlus, "y,,n=,r=abc", "08P01", end},
		{"y while plus was offered", MechanismSCRAM, "y,,n=,r=abc", "28000", end},
		{"p without plus", MechanismSCRAM, "p=tls-server-end-point,,n=,r=abc", "08P01", end},
		{"p with another type", MechanismSCRAMPlus, "p=tls-unique,,n=,r=abc", "08P01", end},
		{"p without a value", MechanismSCRAMPlus, "p", "08P01", end},
		{"authzid", MechanismSCRAM, "n,a=root,n=,r=abc", "0A000", nil},
		{"mandatory extension", MechanismSCRAM, "n,,m=x,n=,r=abc", "0A000", nil},
		{"no nonce", MechanismSCRAM, "n,,n=", "08P01", nil},
		{"empty nonce", MechanismSCRAM, "n,,n=,r=", "08P01", nil},
		{"nonce not printable", MechanismSCRAM, "n,,n=,r=a\x01b", "08P01", nil},
		{"flag only", MechanismSCRAM, "n", "08P01", nil},
		{"flag and comma", MechanismSCRAM, "n,", "08P01", nil},
		{"header only", MechanismSCRAM, "n,,", "08P01", nil},
		{"bad extension", MechanismSCRAM, "n,,n=,r=abc,1=2", "08P01", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := NewServerExchange(ServerConfig{Mechanism: c.mechanism, Verifier: fastSecret(t, "a"), EndPoint: c.endPoint})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = x.Step([]byte(c.msg))
			var p *ProtocolError
			if !errors.As(err, &p) || p.State != c.state {
				t.Fatalf("got %v, want SQLSTATE %s", err, c.state)
			}
			if _, _, err := x.Step([]byte("n,,n=,r=abc")); err == nil {
				t.Fatal("the exchange goes on after an error")
			}
		})
	}
}

func TestServerMechanism(t *testing.T) {
	v := fastSecret(t, "a")
	for _, m := range []string{"", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256"} {
		if _, err := NewServerExchange(ServerConfig{Mechanism: m, Verifier: v}); err == nil {
			t.Errorf("mechanism %q was accepted without TLS", m)
		}
	}
	if _, err := NewServerExchange(ServerConfig{Mechanism: MechanismSCRAM}); err == nil {
		t.Error("an empty verifier was accepted")
	}
}

func TestWrongChannel(t *testing.T) {
	v := fastSecret(t, "a")
	p := newPair(t, ClientConfig{Password: PlainSecret("a"), TLS: true, EndPoint: []byte("the man in the middle's")},
		ServerConfig{Verifier: v, EndPoint: []byte("our own")})
	err := p.run(untouched)
	var pe *ProtocolError
	if !errors.As(err, &pe) || pe.State != "28000" {
		t.Fatalf("got %v", err)
	}
}

// An unknown user must look and go like a wrong password: same steps, same lengths,
// same error.
func TestUnknownLooksLikeWrong(t *testing.T) {
	mock, err := NewMock(rand.Reader, 2)
	if err != nil {
		t.Fatal(err)
	}
	unknown, _ := mock.Secret("nobody", KindNone).Verifier()
	trace := func(v Verifier) (shape []string) {
		p := newPair(t, ClientConfig{Password: PlainSecret("guess")}, ServerConfig{Verifier: v})
		err := p.run(func(i int, m []byte) []byte {
			parts := strings.Split(string(m), ",")
			for j, s := range parts {
				parts[j] = fmt.Sprintf("%.2s:%d", s, len(s))
			}
			shape = append(shape, strings.Join(parts, ","))
			return m
		})
		return append(shape, err.Error())
	}
	a, b := trace(unknown), trace(fastSecret(t, "right"))
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Fatalf("unknown user %q, wrong password %q", a, b)
	}
	again, _ := mock.Secret("nobody", KindSCRAM).Verifier()
	if !bytes.Equal(unknown.Salt, again.Salt) {
		t.Fatal("the salt of an unknown user changes from login to login")
	}
	other, _ := mock.Secret("nobody2", KindSCRAM).Verifier()
	if bytes.Equal(unknown.Salt, other.Salt) {
		t.Fatal("all unknown users share a salt")
	}
}

// A mock fails even where the proof is right.
func TestMockNeverMatches(t *testing.T) {
	v := fastSecret(t, "a")
	v.mock = true
	if err := newPair(t, ClientConfig{Password: PlainSecret("a")}, ServerConfig{Verifier: v}).run(untouched); !errors.Is(err, ErrFailed) {
		t.Fatalf("got %v", err)
	}
	if VerifyPassword(SecretFromVerifier(v), "u", "a") {
		t.Fatal("VerifyPassword accepts a mock")
	}
	mock, err := NewMock(rand.Reader, 2)
	if err != nil {
		t.Fatal(err)
	}
	p := mock.Secret("u", KindPlain)
	if text, _ := p.Plain(); VerifyPassword(p, "u", text) {
		t.Fatal("VerifyPassword accepts a plain mock")
	}
	m := mock.Secret("u", KindMD5)
	text, _ := m.MD5()
	if VerifyMD5(m, "u", [4]byte{1}, MD5Response(text, [4]byte{1})) {
		t.Fatal("VerifyMD5 accepts a mock")
	}
}

func TestClientChooses(t *testing.T) {
	end := []byte("end point")
	both := []string{MechanismSCRAMPlus, MechanismSCRAM}
	for _, c := range []struct {
		name    string
		offered []string
		cfg     ClientConfig
		want    string
		flag    byte
		err     error
	}{
		{"plus", both, ClientConfig{TLS: true, EndPoint: end}, MechanismSCRAMPlus, 'p', nil},
		{"order does not matter", []string{MechanismSCRAM, MechanismSCRAMPlus}, ClientConfig{TLS: true, EndPoint: end}, MechanismSCRAMPlus, 'p', nil},
		{"disabled", both, ClientConfig{TLS: true, EndPoint: end, Binding: BindingDisable}, MechanismSCRAM, 'n', nil},
		{"not offered", both[1:], ClientConfig{TLS: true, EndPoint: end}, MechanismSCRAM, 'y', nil},
		{"no hash", both, ClientConfig{TLS: true}, MechanismSCRAM, 'n', nil},
		{"plus over plain", both, ClientConfig{}, "", 0, ErrPlusWithoutTLS},
		{"required, not offered", both[1:], ClientConfig{TLS: true, EndPoint: end, Binding: BindingRequire}, "", 0, ErrBindingRequired},
		{"required, no TLS", both[1:], ClientConfig{Binding: BindingRequire}, "", 0, ErrBindingRequired},
		{"nothing known", []string{"OAUTHBEARER"}, ClientConfig{}, "", 0, ErrNoMechanism},
		{"nothing", nil, ClientConfig{}, "", 0, ErrNoMechanism},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Password = PlainSecret("a")
			x, err := NewClientExchange(c.offered, c.cfg)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err == nil && (x.Mechanism() != c.want || x.flag != c.flag) {
				t.Fatalf("chose %s with %c", x.Mechanism(), x.flag)
			}
		})
	}
}

// hostile is what a malicious server may send first; %s is the client's nonce.
var hostile = []string{
	"", "r=", "r=%s", "r=%s,s=AAAA,i=1", // nothing added to the nonce
	"r=other,s=AAAA,i=1", "r=x%sx,s=AAAA,i=1",
	"r=%sx,s=,i=1", "r=%sx,s=!!!!,i=1", "r=%sx,s=AA\r\nAA,i=1", "r=%sx,s=AAAA",
	"r=%sx,s=AAAA,i=0", "r=%sx,s=AAAA,i=-1", "r=%sx,s=AAAA,i=+1", "r=%sx,s=AAAA,i=1e9", "r=%sx,s=AAAA,i=",
	"r=%sx,s=AAAA,i=2147483647", "r=%sx,s=AAAA,i=2147483648", "r=%sx,s=AAAA,i=99999999999999999999",
	"r=%sx,s=AAAA,i=1,x=y", "r=%sx,i=1,s=AAAA", "e=other-error", "v=AAAA", "m=x,r=%sx,s=AAAA,i=1",
	"r=%s\x00,s=AAAA,i=1", "r=%s\x01,s=AAAA,i=1",
	"r=%sx,s=" + strings.Repeat("A", 3000) + ",i=1",
	"r=%s" + strings.Repeat("x", 5000) + ",s=AAAA,i=1",
}

func TestClientRefuses(t *testing.T) {
	for _, h := range hostile {
		x, err := NewClientExchange([]string{MechanismSCRAM}, ClientConfig{Password: PlainSecret("a")})
		if err != nil {
			t.Fatal(err)
		}
		x.First()
		msg := strings.Replace(h, "%s", x.nonce, 1)
		if reply, done, err := x.Step([]byte(msg)); err == nil || done || reply != nil {
			t.Errorf("server-first %.80q was accepted", msg)
		}
		if _, done, err := x.Step([]byte(rfcServer)); err == nil || done {
			t.Errorf("after %.80q the exchange goes on", msg)
		}
	}
}

func TestIterationsCap(t *testing.T) {
	x, err := NewClientExchange([]string{MechanismSCRAM}, ClientConfig{Password: PlainSecret("a"), MaxIterations: 10})
	if err != nil {
		t.Fatal(err)
	}
	x.First()
	if _, _, err = x.Step([]byte("r=" + x.nonce + "x,s=AAAA,i=11")); !errors.Is(err, ErrIterationsCap) {
		t.Fatalf("got %v", err)
	}
}

func TestSteppingOutOfOrder(t *testing.T) {
	p := newPair(t, ClientConfig{Password: PlainSecret("a")}, ServerConfig{Verifier: fastSecret(t, "a")})
	if _, _, err := p.client.Step([]byte("r=x,s=AAAA,i=1")); err == nil {
		t.Error("the client takes server-first before it sent anything")
	}
	p = newPair(t, ClientConfig{Password: PlainSecret("a")}, ServerConfig{Verifier: fastSecret(t, "a")})
	if err := p.run(untouched); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.server.Step([]byte("n,,n=,r=abc")); err == nil {
		t.Error("the server goes on after success")
	}
	if _, ok := p.server.Keys(); ok {
		t.Error("the keys outlive an error")
	}
}

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestNoEntropy(t *testing.T) {
	if _, err := NewClientExchange([]string{MechanismSCRAM}, ClientConfig{Password: PlainSecret("a"), Random: noRandom{}}); err == nil {
		t.Error("the client made a nonce of nothing")
	}
	x, err := NewServerExchange(ServerConfig{Mechanism: MechanismSCRAM, Verifier: fastSecret(t, "a"), Random: noRandom{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Step([]byte("n,,n=,r=abc")); err == nil {
		t.Error("the server made a nonce of nothing")
	}
	if _, err := NewMock(noRandom{}, 1); err == nil {
		t.Error("the mock made a seed of nothing")
	}
	if _, err := NewSalt(noRandom{}); err == nil {
		t.Error("a salt was made of nothing")
	}
	if _, err := NewCancelTable[int](noRandom{}); err == nil {
		t.Error("process ids were made of nothing")
	}
}
