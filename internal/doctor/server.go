package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of one look at a server.
const (
	loginLimit = 10 * time.Second
	askLimit   = 15 * time.Second
)

// examine logs in to every host of the server, and asks the one that answers
// first for the rest.
func (s *Server) examine(ctx context.Context) *chart {
	c := &chart{area: "server " + s.Name}
	asked := false
	fits := false
	for _, h := range s.Hosts {
		conn := h.login(ctx, c)
		if conn == nil {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askLimit)
		fits = s.role(asking, c, h, conn) || fits
		if !asked {
			asked = true
			s.ask(asking, c, conn)
		}
		cancel()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		_ = conn.Close(closing) // it served
		cancel()
	}
	if asked && !fits {
		c.add(Fail, "target_session_attrs", "name the host that is, or another target_session_attrs", "no host that answers is %s", s.Attrs)
	}
	return c
}

// login logs in and says how, nil after a failure.
func (h *Host) login(ctx context.Context, c *chart) *pgx.Conn {
	check := "login " + h.Address
	ctx, cancel := context.WithTimeout(ctx, loginLimit)
	defer cancel()
	began := time.Now()
	conn, err := pgx.ConnectConfig(ctx, h.Login)
	if err != nil {
		found, mend := why(err)
		c.add(Fail, check, mend, "%s as %s in %s", found, h.Login.User, h.Login.Database)
		return nil
	}
	took := time.Since(began).Round(100 * time.Microsecond)
	version := conn.PgConn().ParameterStatus("server_version")
	secure, encrypted := conn.PgConn().Conn().(*tls.Conn)
	switch {
	case encrypted:
		c.add(OK, check, "", "PostgreSQL %s as %s, TLS, after %s", version, h.Login.User, took)
		if certs := secure.ConnectionState().PeerCertificates; len(certs) > 0 && !h.again {
			lifetime(c, "certificate "+h.Address, certs[0])
		}
	case h.Local:
		c.add(OK, check, "", "PostgreSQL %s as %s, after %s", version, h.Login.User, took)
	default:
		c.add(Warn, check, "ssl = on there, and sslmode=verify-full here", "PostgreSQL %s as %s without TLS, after %s: passwords' proofs and rows cross the network in the clear", version, h.Login.User, took)
	}
	return conn
}

// why says in words what a login failed of.
func why(err error) (found, mend string) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "28P01":
			return "the password is not taken", "the right password in password_file, or ALTER ROLE … PASSWORD"
		case "28000":
			return "the server does not let this role in (" + pg.Message + ")", "a line in pg_hba.conf, and LOGIN for the role"
		case "3D000":
			return "there is no such database", "the database in the url"
		case "53300":
			return "the server has no connection free (" + pg.Message + ")", "give connections back there; pg_use_reserved_connections lets a role use the reserve"
		case "57P03":
			return "the server is starting or stopping (" + pg.Message + ")", "try again"
		}
		return "the server says " + pg.Code + ": " + pg.Message, ""
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", loginLimit), "look at the address, firewalls and pg_hba.conf"
	}
	// pgx's own text holds address, user and database, no password.
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	// One line for each way that was tried, with and without TLS; the first will do.
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, cause, found := strings.Cut(text, "dial error: "); found {
		text = cause
	}
	return "no connection: " + text, "look at the address, listen_addresses there, and firewalls; for TLS at sslmode and sslrootcert"
}

// role holds what a host is against what is asked for, and says whether it fits.
func (s *Server) role(ctx context.Context, c *chart, h Host, conn *pgx.Conn) bool {
	var standby, readOnly bool
	err := conn.QueryRow(ctx, `SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::bool`).Scan(&standby, &readOnly)
	if err != nil {
		c.add(Warn, "role "+h.Address, "", "cannot be asked: %v", err)
		return false
	}
	word := "primary"
	if standby {
		word = "standby"
	}
	if readOnly {
		word += ", read-only by default"
	}
	c.add(OK, "role "+h.Address, "", "%s", word)
	switch s.Attrs {
	case "read-write":
		return !standby && !readOnly
	case "primary":
		return !standby
	case "standby":
		return standby
	case "read-only":
		return standby || readOnly
	}
	return true
}

func (s *Server) ask(ctx context.Context, c *chart, conn *pgx.Conn) {
	clock(ctx, c, conn)
	s.rights(ctx, c, conn)
	s.slots(ctx, c, conn)
	s.settings(ctx, c, conn)
	s.users(ctx, c, conn)
}

// How far two clocks may be apart: logs of both are read side by side, and
// certificates and tokens go by them.
const (
	skewWarn = time.Second
	skewFail = 30 * time.Second
)

// clock asks the server for its time. Of three answers the fastest counts; half
// of its round trip is what is not known.
func clock(ctx context.Context, c *chart, conn *pgx.Conn) {
	best, skew := time.Hour, time.Duration(0)
	for range 3 {
		began := time.Now()
		var there time.Time
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp()").Scan(&there); err != nil {
			c.add(Warn, "clock", "", "cannot be asked: %v", err)
			return
		}
		if trip := time.Since(began); trip < best {
			best, skew = trip, there.Sub(began.Add(trip/2))
		}
	}
	off := max(skew.Abs()-best/2, 0)
	status := OK
	switch {
	case off > skewFail:
		status = Fail
	case off > skewWarn:
		status = Warn
	}
	word := "ahead of"
	if skew < 0 {
		word = "behind"
	}
	c.add(status, "clock", "let both follow the same NTP", "%s %s ours (±%s)", skew.Abs().Round(time.Microsecond), word, (best / 2).Round(time.Microsecond))
}
