package auth

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
)

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
