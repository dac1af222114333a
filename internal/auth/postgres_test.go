package auth_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"spillway/internal/auth"
	"spillway/internal/pgtest"
)

const password = "pä ss\u00a0x"

// ServerLogin against PostgreSQL itself: every method, plain and over TLS.
func TestLoginToPostgreSQL(t *testing.T) {
	pg := pgtest.Start(t, pgtest.Options{
		Certs: pgtest.TestCerts(t),
		HBA: []string{
			"host all s 127.0.0.1/32 scram-sha-256",
			"host all m 127.0.0.1/32 md5",
			"host all c 127.0.0.1/32 password",
			"host all t 127.0.0.1/32 trust",
		},
	})
	pg.Exec(t, `SET password_encryption = 'scram-sha-256'; CREATE ROLE s LOGIN PASSWORD '`+password+`';
		CREATE ROLE c LOGIN PASSWORD 'cc'; CREATE ROLE t LOGIN;
		SET password_encryption = 'md5'; CREATE ROLE m LOGIN PASSWORD 'mm'`)
	stored := map[string]auth.Secret{}
	for _, user := range []string{"s", "m"} {
		s, err := auth.ParseSecret(pg.Value(t, "SELECT rolpassword FROM pg_authid WHERE rolname='"+user+"'"))
		if err != nil {
			t.Fatal(err)
		}
		stored[user] = s
	}
	if !auth.VerifyPassword(stored["s"], "s", password) || !auth.VerifyPassword(stored["m"], "m", "mm") {
		t.Fatal("PostgreSQL's own secrets do not verify")
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			loginEveryWay(t, pg.Addr(), secure, stored)
		})
	}
}

func loginEveryWay(t *testing.T, addr string, secure bool, stored map[string]auth.Secret) {
	l := postgresLogin{addr, secure}
	plain := auth.PlainSecret
	keys, err := l.run(t, auth.LoginConfig{User: "s", Secret: plain(password)})
	if err != nil {
		t.Fatalf("SCRAM by password: %v", err)
	}
	disable, require := auth.ClientConfig{Binding: auth.BindingDisable}, auth.ClientConfig{Binding: auth.BindingRequire}
	for _, c := range []struct {
		name string
		cfg  auth.LoginConfig
		want string // part of the error; empty: must succeed
	}{
		{"SCRAM by keys", auth.LoginConfig{User: "s", SCRAM: auth.ClientConfig{Keys: &keys}}, ""},
		{"SCRAM, binding disabled", auth.LoginConfig{User: "s", Secret: plain(password), SCRAM: disable}, ""},
		{"SCRAM, wrong password", auth.LoginConfig{User: "s", Secret: plain("guess")}, "28P01"},
		{"SCRAM, have md5", auth.LoginConfig{User: "s", Secret: stored["m"]}, "md5 hash"},
		{"SCRAM, have verifier", auth.LoginConfig{User: "s", Secret: stored["s"]}, "cannot log in"},
		{"md5 by password", auth.LoginConfig{User: "m", Secret: plain("mm")}, ""},
		{"md5 by hash", auth.LoginConfig{User: "m", Secret: stored["m"]}, ""},
		{"md5, have keys", auth.LoginConfig{User: "m", SCRAM: auth.ClientConfig{Keys: &keys}}, "password_encryption"},
		{"cleartext", auth.LoginConfig{User: "c", Secret: plain("cc"), AllowCleartext: true}, ""},
		{"cleartext forbidden", auth.LoginConfig{User: "c", Secret: plain("cc")}, auth.ErrCleartext.Error()},
		{"trust", auth.LoginConfig{User: "t"}, ""},
		{"trust, binding required", auth.LoginConfig{User: "t", SCRAM: require}, auth.ErrBindingRequired.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := l.run(t, c.cfg)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := l.run(t, auth.LoginConfig{User: "s", Secret: plain(password), SCRAM: require}); (err == nil) != secure {
		t.Fatalf("binding required: %v", err)
	}
}

// postgresLogin is where and how to log in.
type postgresLogin struct {
	addr   string
	secure bool
}

func (l postgresLogin) run(t *testing.T, cfg auth.LoginConfig) (auth.SCRAMKeys, error) {
	t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if l.secure {
		conn, cfg.SCRAM.EndPoint = startTLS(t, conn)
		cfg.SCRAM.TLS = true
	}
	front := pgproto3.NewFrontend(conn, conn)
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": cfg.User, "database": "postgres"}})
	login := auth.NewServerLogin(cfg)
	for {
		if err := front.Flush(); err != nil {
			return auth.SCRAMKeys{}, err
		}
		msg, err := front.Receive()
		if err != nil {
			return auth.SCRAMKeys{}, err
		}
		code, body, err := splitAuthentication(msg)
		if err != nil {
			return auth.SCRAMKeys{}, err
		}
		reply, err := login.Step(code, body)
		if err != nil {
			return auth.SCRAMKeys{}, err
		}
		if reply.Kind == auth.ReplyAccepted {
			keys, _ := login.Keys()
			return keys, nil
		}
		send(front, reply)
	}
}

func startTLS(t *testing.T, conn net.Conn) (net.Conn, []byte) {
	t.Helper()
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := conn.Read(answer); err != nil || answer[0] != 'S' {
		t.Fatal(answer, err)
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	endPoint, err := auth.EndPoint(secure.ConnectionState().PeerCertificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return secure, endPoint
}

// splitAuthentication undoes what pgx parsed: the code and what follows it.
func splitAuthentication(msg pgproto3.BackendMessage) (uint32, []byte, error) {
	switch m := msg.(type) {
	case *pgproto3.ErrorResponse:
		return 0, nil, fmt.Errorf("server: %s %s", m.Code, m.Message)
	case pgproto3.AuthenticationResponseMessage:
		raw, err := m.Encode(nil)
		if err != nil || len(raw) < 9 {
			return 0, nil, errors.New("authentication message cannot be read")
		}
		return binary.BigEndian.Uint32(raw[5:]), raw[9:], nil
	}
	return 0, nil, fmt.Errorf("unexpected %T", msg)
}

func send(front *pgproto3.Frontend, r auth.LoginReply) {
	switch r.Kind {
	case auth.ReplyPassword:
		front.Send(&pgproto3.PasswordMessage{Password: string(r.Body[:len(r.Body)-1])})
	case auth.ReplySASLInitial:
		front.Send(&pgproto3.SASLInitialResponse{AuthMechanism: r.Mechanism, Data: r.Body})
	case auth.ReplySASL:
		front.Send(&pgproto3.SASLResponse{Data: r.Body})
	case auth.ReplyNone, auth.ReplyAccepted:
	}
}
