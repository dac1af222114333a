package auth

import (
	"bytes"
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
