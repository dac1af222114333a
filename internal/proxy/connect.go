package proxy

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"spillway/internal/auth"
	"spillway/internal/schedule"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// link is a connection to PostgreSQL while it logs in, on a goroutine. A loop
// takes it over afterwards.
type link struct {
	nc     net.Conn // the socket
	rw     net.Conn // nc, or TLS over it
	tls    *tlsLayer
	addr   string
	local  bool
	params []wire.Param
	pid    uint32
	key    []byte
	keys   *auth.SCRAMKeys
}

// dialing is what a login to PostgreSQL needs to know.
type dialing struct {
	conf     *Upstream
	database string
	role     string
	creds    *credentials
	params   []wire.Param
	query    string // connect_query
}

// serverError is what the server said when it refused a login.
type serverError struct{ report wire.Report }

func (e *serverError) Error() string { return e.report.Error() }

// maxReply bounds a message of a server that logs in.
const maxReply = 1 << 20

// connect carries out an Open directive.
func (p *Proxy) connect(l *loop, sp *schedule.Pool, ss *schedule.Server) {
	pl := p.pools.find(sp)
	if pl == nil {
		return
	}
	rul := p.policy.Load()
	if open := pl.up.sockets.Add(1); pl.up.blown(open) {
		pl.up.fused.Add(1)
		p.log.Error("fuse: no server connection is opened beyond the budget, whatever the books say", "upstream", pl.up.name, "open", open-1)
		l.post(func() { l.connected(pl, ss, nil, errFuse) })
		return
	}
	p.workers.Add(1)
	go func() {
		defer p.workers.Done()
		ctx, stop := withTimeout(p.background, rul.Timeouts.ServerConnect, 15*time.Second)
		defer stop()
		d := pl.database.Load()
		k, err := pl.up.dial(ctx, dialing{conf: pl.up.conf.Load(), database: pl.dbname, role: pl.role,
			creds: pl.creds.Load(), params: p.pools.startup(ss.Fit), query: d.ConnectQuery})
		l.post(func() { l.connected(pl, ss, k, err) })
	}()
}

// dial opens a connection. Where we have closed one a moment ago, the server may
// not have noticed yet: that it is full then means little, and is asked again.
func (u *upstream) dial(ctx context.Context, d dialing) (*link, error) {
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		k, err := u.hosts.dial(ctx, d)
		var se *serverError
		if !errors.As(err, &se) || se.report.Code != "53300" || wait > 200*time.Millisecond || !u.closed.lately() {
			return k, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

func withTimeout(ctx context.Context, d, otherwise time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		d = otherwise
	}
	return context.WithTimeout(ctx, d)
}

// connected takes a login's outcome into the loop.
func (l *loop) connected(pl *pool, ss *schedule.Server, k *link, err error) {
	if err == nil {
		err = l.enroll(pl, ss, k)
	}
	dirs := l.takeDirs()
	if err != nil {
		pl.up.sockets.Add(-1)
		rep, class := classify(err)
		failed := &loginFailure{rep, time.Now()}
		pl.failure.Store(failed)
		pl.up.reached(failed, class)
		l.log.Warn("server login failed", "pool", pl.key.database+"/"+pl.key.user, "upstream", pl.up.name, "error", err)
		dirs = pl.up.host.OpenFailed(l.now, ss, class, dirs)
	} else {
		pl.failure.Store(nil)
		dirs = pl.up.host.Opened(l.now, ss, dirs)
	}
	l.carry(dirs)
	l.giveDirs(dirs)
}

// enroll makes a server of a link.
func (l *loop) enroll(pl *pool, ss *schedule.Server, k *link) error {
	if l.stopped {
		_ = k.nc.Close()
		return errClosing
	}
	fd, err := takeFD(k.nc)
	if err != nil {
		return err
	}
	s := &server{sched: ss, pool: pl, loop: l, id: l.proxy.ids.Add(1), pid: k.pid, key: k.key, addr: k.addr, params: k.params,
		openedAt: l.now, requestAt: l.now}
	s.endpoint = endpoint{fd: int32(fd), role: roleServer, slot: -1}
	s.sess = *session.NewServer(l.cache, settingsOf(k.params))
	for _, p := range l.proxy.pools.startup(ss.Fit) {
		s.oneWay = s.oneWay || p.Name == "replication"
	}
	if k.tls != nil {
		s.tls, s.tlsName = k.tls, k.tls.name
		k.tls.feed.hand(func(b []byte) error { s.loop.drv.send(&s.endpoint, b); return nil })
	}
	ss.Data = s
	if err := l.drv.add(&s.endpoint); err != nil {
		closeFD(fd)
		return err
	}
	l.servers[s] = struct{}{}
	if k.keys != nil {
		old := pl.creds.Load()
		if old != nil {
			pl.creds.Store(&credentials{secret: old.secret, keys: k.keys})
		}
	}
	if ss.Fit == 0 {
		pl.welcome.Store(welcomeOf(k.params))
	}
	if v, ok := param(k.params, "server_version"); ok {
		pl.up.version.Store(int64(atoi(v)))
	}
	if s.tls != nil {
		l.decipher(&s.endpoint, nil)
	}
	return nil
}

// errFuse is treated as the server's own "too many connections".
var errFuse = &serverError{wire.Report{Severity: "FATAL", Code: "53300", Message: "the budget of server connections is used up"}}

var errClosing = errors.New("the pooler is shutting down")

// classify sorts a failed login for the schedule and words it for clients.
func classify(err error) (wire.Report, schedule.FailClass) {
	var se *serverError
	var mm *auth.MismatchError
	switch {
	case errors.Is(err, errClosing), errors.Is(err, context.Canceled):
		return wire.Report{Severity: "FATAL", Code: "57P01", Message: "the pooler is shutting down"}, schedule.FailCancelled
	case errors.As(err, &mm):
		return wire.Report{Severity: "FATAL", Code: "28000", Message: "cannot log in to the server: " + mm.Asked, Hint: mm.Mend}, schedule.FailAuth
	case errors.As(err, &se):
		rep := se.report
		rep.Severity = "FATAL"
		switch {
		case strings.HasPrefix(rep.Code, "28"):
			return rep, schedule.FailAuth
		case rep.Code == "53300" && strings.Contains(rep.Message, " for "): // a role's or database's own limit
			return rep, schedule.FailPool
		case rep.Code == "53300":
			return rep, schedule.FailFull
		case rep.Code == "57P03":
			return rep, schedule.FailStarting
		case strings.HasPrefix(rep.Code, "57P"), strings.HasPrefix(rep.Code, "08"):
			return rep, schedule.FailNetwork
		}
		return rep, schedule.FailPool
	}
	return wire.Report{Severity: "FATAL", Code: "08001", Message: "cannot connect to the server: " + err.Error()}, schedule.FailNetwork
}

// dialHost connects and logs in to one host.
func dialHost(ctx context.Context, at Address, d dialing) (k *link, err error) {
	network, address := "tcp", net.JoinHostPort(at.Host, strconv.Itoa(int(at.Port)))
	local := strings.HasPrefix(at.Host, "/") || strings.HasPrefix(at.Host, "@")
	if local {
		network, address = "unix", fmt.Sprintf("%s/.s.PGSQL.%d", at.Host, at.Port)
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("dial server: %w", err)
	}
	k = &link{nc: nc, rw: nc, addr: address, local: local}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		k.addr = a.String()
	}
	end := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !end() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = nc.Close()
			if ctx.Err() != nil {
				err = fmt.Errorf("log in to server: %w", context.Cause(ctx))
			}
			k = nil
		}
	}()
	if err = k.encrypt(ctx, at, d.conf); err != nil {
		return k, err
	}
	return k, k.login(d)
}

// encrypt negotiates TLS as the sslmode says.
func (k *link) encrypt(ctx context.Context, at Address, u *Upstream) error {
	if k.local || u.TLSMode == TLSDisable || u.TLSMode == TLSAllow || u.TLS == nil {
		return nil
	}
	if !u.DirectTLS {
		if _, err := k.nc.Write(wire.AppendRequest(nil, wire.CodeSSL)); err != nil {
			return fmt.Errorf("ask server for TLS: %w", err)
		}
		// One byte only: anything behind it came in the clear and stays unread,
		// so that it fails the handshake instead of slipping in before it.
		var answer [1]byte
		if _, err := io.ReadFull(k.nc, answer[:]); err != nil {
			return fmt.Errorf("ask server for TLS: %w", err)
		}
		if answer[0] != 'S' {
			if u.TLSMode == TLSPrefer && answer[0] == 'N' {
				return nil
			}
			return errors.New("server does not support TLS, but sslmode demands it")
		}
	}
	conf := u.TLS.Clone()
	if conf.ServerName == "" {
		conf.ServerName = at.Host
	}
	f := newFeed(nil)
	f.raw = k.nc
	t := &tlsLayer{conn: tls.Client(f, conf), feed: f}
	if err := t.conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS with server: %w", err)
	}
	t.name = tlsName(t.conn.ConnectionState())
	k.tls, k.rw = t, t.conn
	return nil
}

func (k *link) login(d dialing) error {
	params := []wire.Param{{Name: "user", Value: d.role}, {Name: "database", Value: d.database}}
	params = append(params, d.params...)
	if _, err := k.rw.Write(wire.AppendStartup(nil, 0, params)); err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	if err := k.authenticate(d); err != nil {
		return err
	}
	if err := k.greeting(); err != nil {
		return err
	}
	if d.query != "" {
		if _, err := k.query(d.query); err != nil {
			return fmt.Errorf("run connect_query: %w", err)
		}
	}
	return nil
}

func (k *link) authenticate(d dialing) error {
	cfg := auth.LoginConfig{User: d.role, AllowCleartext: k.tls != nil || k.local}
	if d.creds != nil {
		cfg.Secret = d.creds.secret
		cfg.SCRAM.Keys = d.creds.keys
	}
	cfg.SCRAM.Binding, _ = auth.ParseBinding(d.conf.ChannelBinding)
	if k.tls != nil {
		cfg.SCRAM.TLS = true
		if certs := k.tls.conn.ConnectionState().PeerCertificates; len(certs) > 0 {
			cfg.SCRAM.EndPoint, _ = auth.EndPoint(certs[0])
		}
	}
	x := auth.NewServerLogin(cfg)
	for {
		kind, body, err := k.read()
		if err != nil {
			return err
		}
		if kind == wire.NegotiateProtocol || kind == wire.NoticeResponse {
			continue
		}
		if kind != wire.Authentication || len(body) < 4 {
			return fmt.Errorf("log in to server: unexpected message of kind %q", kind)
		}
		reply, err := x.Step(binary.BigEndian.Uint32(body), body[4:])
		if err != nil {
			return fmt.Errorf("log in to server as %q: %w", d.role, err)
		}
		var out []byte
		switch reply.Kind {
		case auth.ReplyAccepted:
			if keys, ok := x.Keys(); ok {
				k.keys = &keys
			}
			return nil
		case auth.ReplyPassword, auth.ReplySASL:
			out = wire.AppendPassword(nil, reply.Body)
		case auth.ReplySASLInitial:
			out = wire.AppendSASLInitial(nil, reply.Mechanism, reply.Body)
		default:
			continue
		}
		if _, err := k.rw.Write(out); err != nil {
			return fmt.Errorf("log in to server: %w", err)
		}
	}
}

// greeting reads what stands between AuthenticationOk and ReadyForQuery.
func (k *link) greeting() error {
	for {
		kind, body, err := k.read()
		if err != nil {
			return err
		}
		switch kind {
		case wire.ParameterStatus:
			if name, rest, ok := wire.CString(body); ok && len(k.params) < 100 {
				value, _, _ := wire.CString(rest)
				k.params = append(k.params, wire.Param{Name: string(name), Value: string(value)})
			}
		case wire.BackendKeyData:
			if len(body) < 8 || len(body) > 4+wire.MaxCancelKey {
				return errors.New("log in to server: malformed BackendKeyData")
			}
			k.pid, k.key = binary.BigEndian.Uint32(body), append([]byte(nil), body[4:]...)
		case wire.ReadyForQuery:
			return nil
		case wire.NoticeResponse:
		default:
			return fmt.Errorf("log in to server: unexpected message of kind %q", kind)
		}
	}
}

// read reads exactly one message; an error of the server is an error.
func (k *link) read() (byte, []byte, error) {
	var head [wire.HeaderSize]byte
	if _, err := io.ReadFull(k.rw, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read from server: %w", err)
	}
	kind, size, err := wire.Frame(head[:], maxReply)
	if err != nil {
		return 0, nil, fmt.Errorf("read from server: %w", wire.LengthError(head[:], maxReply))
	}
	body := make([]byte, size-wire.HeaderSize)
	if _, err := io.ReadFull(k.rw, body); err != nil {
		return 0, nil, fmt.Errorf("read from server: %w", err)
	}
	if kind == wire.ErrorResponse {
		return kind, body, &serverError{wire.ParseReport(body)}
	}
	return kind, body, nil
}

// query runs a simple query and returns its rows.
func (k *link) query(sql string) ([][][]byte, error) {
	if _, err := k.rw.Write(wire.AppendQuery(nil, sql)); err != nil {
		return nil, fmt.Errorf("query server: %w", err)
	}
	return k.rows()
}

// rows reads answers up to ReadyForQuery.
func (k *link) rows() ([][][]byte, error) {
	var rows [][][]byte
	var failed error
	for {
		kind, body, err := k.read()
		var se *serverError
		switch {
		case errors.As(err, &se):
			failed = err
		case err != nil:
			return nil, err
		case kind == wire.DataRow && len(rows) < 10000:
			rows = append(rows, columns(body))
		case kind == wire.ReadyForQuery:
			return rows, failed
		}
	}
}

// columns splits a DataRow; nil is NULL.
func columns(body []byte) [][]byte {
	if len(body) < 2 {
		return nil
	}
	var list [][]byte
	for body = body[2:]; len(body) >= 4; {
		n := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if n < 0 {
			list = append(list, nil)
			continue
		}
		if int64(n) > int64(len(body)) {
			return list
		}
		list = append(list, body[:n:n])
		body = body[n:]
	}
	return list
}

// prepared runs one statement with text parameters by the extended protocol.
func (k *link) prepared(sql string, args ...string) ([][][]byte, error) {
	out := wire.AppendParse(nil, "", sql, nil)
	bind := []byte{0, 0, 0, 0}
	bind = binary.BigEndian.AppendUint16(bind, uint16(len(args)))
	for _, a := range args {
		bind = append(binary.BigEndian.AppendUint32(bind, uint32(len(a))), a...)
	}
	bind = append(bind, 0, 0)
	out = append(out, wire.Bind)
	out = append(binary.BigEndian.AppendUint32(out, uint32(len(bind)+4)), bind...)
	out = append(out, wire.Execute, 0, 0, 0, 9, 0, 0, 0, 0, 0)
	out = wire.AppendEmpty(out, wire.Sync)
	if _, err := k.rw.Write(out); err != nil {
		return nil, fmt.Errorf("query server: %w", err)
	}
	return k.rows()
}

func (k *link) close() {
	_, _ = k.rw.Write(wire.AppendEmpty(nil, wire.Terminate))
	_ = k.nc.Close()
}
