package auth

import (
	"bytes"
	"strings"
	"testing"
)

// zeros makes nonces that a fuzzer's corpus can know.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

const zeroNonce = "AAAAAAAAAAAAAAAAAAAAAAAA"

// FuzzServerExchange is a hostile client: whatever it sends, only the right proof
// for this very exchange may succeed. The seeds hold CVE-2026-6664's shape, fields
// longer than any buffer.
func FuzzServerExchange(f *testing.F) {
	verifier := fastSecret(f, "secret")
	end := []byte("end point")
	good := func(plus bool) (first, final []byte) {
		cfg := ClientConfig{Password: PlainSecret("secret"), Random: zeros{}, TLS: plus}
		sc := ServerConfig{Verifier: verifier, Random: zeros{}}
		if plus {
			cfg.EndPoint, sc.EndPoint = end, end
		}
		_ = newPair(f, cfg, sc).run(func(i int, m []byte) []byte {
			switch i {
			case 0:
				first = bytes.Clone(m)
			case 2:
				final = bytes.Clone(m)
			}
			return m
		})
		return first, final
	}
	for _, plus := range []bool{false, true} {
		first, final := good(plus)
		f.Add(plus, first, final)
		f.Add(plus, first[:len(first)/2], final)
		f.Add(plus, first, final[:len(final)/2])
		f.Add(plus, first, append(bytes.Clone(final), ",x=y"...))
		f.Add(plus, append(bytes.Clone(first), bytes.Repeat([]byte("x"), 1<<16)...), final)
		f.Add(plus, first, bytes.Repeat([]byte("c=biws,"), 1000))
	}
	f.Add(false, []byte(nil), []byte(nil))
	f.Add(false, []byte("n,,n=,r=a"), []byte("c=biws,r=a"+zeroNonce+",p="+strings.Repeat("A", 2000)))
	f.Add(false, []byte("y,,n=,r=a,"), []byte("c=eSws,r=a"+zeroNonce+",p="))
	f.Add(true, []byte("p=tls-unique,,n=,r=a"), []byte("c=,r=,p="))
	f.Fuzz(func(t *testing.T, plus bool, first, final []byte) {
		cfg := ServerConfig{Mechanism: MechanismSCRAM, Verifier: verifier, Random: zeros{}}
		if plus {
			cfg.Mechanism, cfg.EndPoint = MechanismSCRAMPlus, end
		}
		x, err := NewServerExchange(cfg)
		if err != nil {
			t.Fatal(err)
		}
		reply, done, err := x.Step(first)
		if done || err != nil && reply != nil || len(reply) > MaxClientMessage+200 {
			t.Fatalf("after client-first: %q, %v, %v", reply, done, err)
		}
		if _, done, err = x.Step(final); !done {
			if _, ok := x.Keys(); ok || x.Bound() {
				t.Fatal("keys without proof")
			}
			return
		}
		keys, ok := x.Keys()
		if err != nil || !ok || keys.Verifier().StoredKey != verifier.StoredKey || x.Bound() != plus {
			t.Fatal("success without the right keys")
		}
	})
}

// FuzzClientExchange is a hostile server (CVE-2026-6665's shape among the seeds): it
// may never be believed but for the right signature.
func FuzzClientExchange(f *testing.F) {
	verifier := fastSecret(f, "secret")
	var first, final []byte
	_ = newPair(f, ClientConfig{Password: PlainSecret("secret"), Random: zeros{}}, ServerConfig{Verifier: verifier, Random: zeros{}}).
		run(func(i int, m []byte) []byte {
			switch i {
			case 1:
				first = bytes.Clone(m)
			case 3:
				final = bytes.Clone(m)
			}
			return m
		})
	f.Add(first, final)
	f.Add(first[:10], final)
	f.Add(first, final[:10])
	f.Add(first, []byte("e=invalid-proof"))
	f.Add(first, []byte("v="+strings.Repeat("A", 1<<16)))
	for _, h := range hostile {
		f.Add([]byte(strings.Replace(h, "%s", zeroNonce, 1)), final)
	}
	f.Fuzz(func(t *testing.T, first, final []byte) {
		x, err := NewClientExchange([]string{MechanismSCRAM}, ClientConfig{Password: PlainSecret("secret"), Random: zeros{}, MaxIterations: 16})
		if err != nil {
			t.Fatal(err)
		}
		x.First()
		reply, done, err := x.Step(first)
		if done || err != nil && reply != nil || len(reply) > MaxServerMessage+200 {
			t.Fatalf("after server-first: %d bytes, %v, %v", len(reply), done, err)
		}
		_, done, err = x.Step(final)
		if done != x.Verified() || done && err != nil {
			t.Fatal(done, err)
		}
		if done && !bytes.Contains(final, []byte("v=")) {
			t.Fatal("believed without a signature")
		}
	})
}

// FuzzServerLogin walks a login by arbitrary requests: it must not be accepted after
// SCRAM began and did not end.
func FuzzServerLogin(f *testing.F) {
	f.Add(uint32(CodeSASL), saslList(MechanismSCRAM), uint32(CodeSASLContinue), []byte("r="+zeroNonce+"x,s=AAAA,i=1"), uint32(CodeOK), []byte(nil))
	f.Add(uint32(CodeMD5Password), []byte{1, 2, 3, 4}, uint32(CodeOK), []byte(nil), uint32(CodeOK), []byte(nil))
	f.Add(uint32(CodeCleartextPassword), []byte(nil), uint32(CodeOK), []byte(nil), uint32(CodeSASL), []byte("x"))
	f.Add(uint32(CodeSASL), bytes.Repeat([]byte("x"), 1<<14), uint32(CodeSASLFinal), []byte("v="), uint32(CodeOK), []byte(nil))
	f.Fuzz(func(t *testing.T, c1 uint32, b1 []byte, c2 uint32, b2 []byte, c3 uint32, b3 []byte) {
		l := NewServerLogin(LoginConfig{User: "u", Secret: PlainSecret("secret"), SCRAM: ClientConfig{Random: zeros{}, MaxIterations: 16}})
		failed := false
		for _, m := range []struct {
			code uint32
			body []byte
		}{{c1, b1}, {c2, b2}, {c3, b3}} {
			r, err := l.Step(m.code, m.body)
			if failed && err == nil {
				t.Fatal("went on after an error")
			}
			failed = failed || err != nil
			if r.Kind == ReplyAccepted && l.scram != nil && !l.scram.Verified() {
				t.Fatal("believed a server that proved nothing")
			}
			if bytes.Contains(r.Body, []byte("secret")) {
				t.Fatal("sent the password in the clear")
			}
		}
	})
}
