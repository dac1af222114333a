package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"spillway/internal/auth"
)

// pgx's own client logs in to a server made of ServerExchange, with TLS and
// channel binding and without.
func TestInteropPGX(t *testing.T) {
	cert := newCertificate(t)
	for _, c := range []struct {
		name, password, channelBinding string
		tls, bound, ok                 bool
	}{
		{"plain", "pässword\u00a0x", "prefer", false, false, true},
		{"wrong password", "guess", "prefer", false, false, false},
		{"TLS, bound", "pässword\u00a0x", "require", true, true, true},
		{"TLS, binding disabled", "pässword\u00a0x", "disable", true, false, true},
		{"TLS, wrong password", "guess", "require", true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &interopServer{t: t, password: "pässword\u00a0x"}
			if c.tls {
				s.cert = cert
			}
			bound, serverErr := s.serve(t, c.password, c.channelBinding, c.ok)
			if c.ok && (serverErr != nil || bound != c.bound) {
				t.Fatalf("server: bound %v, %v", bound, serverErr)
			}
			if !c.ok && !errors.Is(serverErr, auth.ErrFailed) {
				t.Fatalf("server: %v, want ErrFailed", serverErr)
			}
		})
	}
}

type interopServer struct {
	t        *testing.T
	password string
	cert     *tls.Certificate
}

type interopResult struct {
	bound bool
	err   error
}

// serve runs both ends and returns what the server saw.
func (s *interopServer) serve(t *testing.T, password, channelBinding string, ok bool) (bool, error) {
	t.Helper()
	near, far := net.Pipe()
	results := make(chan interopResult, 1)
	go func() {
		bound, err := s.login(far)
		results <- interopResult{bound, err}
		_ = far.Close()
	}()
	cfg, err := pgconn.ParseConfig("host=127.0.0.1 user=alice dbname=x sslmode=disable channel_binding=" + channelBinding)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = password
	cfg.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	if s.cert != nil {
		cfg.TLSConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	}
	conn, err := pgconn.ConnectConfig(t.Context(), cfg)
	if (err == nil) != ok {
		t.Fatalf("pgx: %v", err)
	}
	if err == nil && !conn.IsClosed() {
		_ = near.Close() // there is nobody left to say goodbye to
	}
	r := <-results
	return r.bound, r.err
}

// login is a server up to ReadyForQuery.
func (s *interopServer) login(conn net.Conn) (bound bool, err error) {
	var endPoint []byte
	backend := pgproto3.NewBackend(conn, conn)
	msg, err := backend.ReceiveStartupMessage()
	if err != nil {
		return false, err
	}
	if _, isTLS := msg.(*pgproto3.SSLRequest); isTLS {
		if _, err := conn.Write([]byte("S")); err != nil {
			return false, err
		}
		if endPoint, err = auth.EndPoint(s.cert.Leaf); err != nil {
			return false, err
		}
		secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*s.cert}, MinVersion: tls.VersionTLS13})
		backend = pgproto3.NewBackend(secure, secure)
		if _, err = backend.ReceiveStartupMessage(); err != nil {
			return false, err
		}
	}
	x, err := s.scram(backend, endPoint)
	if errors.Is(err, auth.ErrFailed) {
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: err.Error()})
		_ = backend.Flush()
	}
	if err != nil {
		return false, err
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return x.Bound(), backend.Flush()
}

func (s *interopServer) scram(backend *pgproto3.Backend, endPoint []byte) (*auth.ServerExchange, error) {
	secret, err := auth.SecretFromPassword(s.password, []byte("0123456789abcdef"), auth.DefaultIterations)
	if err != nil {
		return nil, err
	}
	verifier, _ := secret.Verifier()
	backend.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: auth.Mechanisms(endPoint)})
	if err := backend.SetAuthType(pgproto3.AuthTypeSASL); err != nil {
		return nil, err
	}
	initial, err := receive[*pgproto3.SASLInitialResponse](backend)
	if err != nil {
		return nil, err
	}
	x, err := auth.NewServerExchange(auth.ServerConfig{Mechanism: initial.AuthMechanism, Verifier: verifier, EndPoint: endPoint})
	if err != nil {
		return nil, err
	}
	reply, _, err := x.Step(initial.Data)
	if err != nil {
		return nil, err
	}
	backend.Send(&pgproto3.AuthenticationSASLContinue{Data: reply})
	if err := backend.SetAuthType(pgproto3.AuthTypeSASLContinue); err != nil {
		return nil, err
	}
	response, err := receive[*pgproto3.SASLResponse](backend)
	if err != nil {
		return nil, err
	}
	reply, done, err := x.Step(response.Data)
	if err != nil || !done {
		return nil, err
	}
	backend.Send(&pgproto3.AuthenticationSASLFinal{Data: reply})
	return x, nil
}

// receive flushes what was sent and reads a message of one type.
func receive[M pgproto3.FrontendMessage](backend *pgproto3.Backend) (m M, err error) {
	if err := backend.Flush(); err != nil {
		return m, err
	}
	msg, err := backend.Receive()
	if err != nil {
		return m, err
	}
	m, ok := msg.(M)
	if !ok {
		return m, errors.New("unexpected message")
	}
	return m, nil
}

func newCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "spillway"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

func TestEndPoint(t *testing.T) {
	leaf := *newCertificate(t).Leaf
	for _, c := range []struct {
		algorithm x509.SignatureAlgorithm
		size      int // 0: not defined
	}{
		{x509.SHA1WithRSA, 32}, {x509.MD5WithRSA, 32}, {x509.ECDSAWithSHA256, 32}, {x509.SHA256WithRSAPSS, 32},
		{x509.ECDSAWithSHA384, 48}, {x509.SHA512WithRSA, 64}, {x509.PureEd25519, 0}, {x509.UnknownSignatureAlgorithm, 0},
	} {
		leaf.SignatureAlgorithm = c.algorithm
		got, err := auth.EndPoint(&leaf)
		if len(got) != c.size || (err == nil) != (c.size > 0) {
			t.Errorf("%v: %d bytes, %v", c.algorithm, len(got), err)
		}
		if err != nil && (!errors.Is(err, auth.ErrNoEndPoint) || !strings.Contains(err.Error(), "signed with")) {
			t.Errorf("%v: %v", c.algorithm, err)
		}
	}
}
