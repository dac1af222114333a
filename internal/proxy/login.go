package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"spillway/internal/auth"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// login is what a client needs only until it is served.
type login struct {
	startup  wire.Startup
	method   auth.Method
	rule     auth.Rule
	offer    auth.Offer
	secret   auth.Secret
	scram    *auth.ServerExchange
	salt     [4]byte
	keys     *auth.SCRAMKeys
	password string
	endPoint []byte
	cert     string // common name of the client's certificate
	database *Database
	requests int    // SSL and GSS requests seen
	owed     []byte // told to the client with what it is told next
	adapted  bool   // the settings asked for are in the session
}

// spareLogins is how many a loop keeps for clients to come.
const spareLogins = 64

func (l *loop) newLogin() *login {
	n := len(l.logins)
	if n == 0 {
		return new(login)
	}
	lg := l.logins[n-1]
	l.logins = l.logins[:n-1]
	return lg
}

// spareLogin ends the login of a client that is in. That of one that failed is
// left alone: a goroutine may still be at work on it.
func (l *loop) spareLogin(c *client) {
	lg := c.login
	c.login = nil
	if len(l.logins) < spareLogins {
		*lg = login{}
		l.logins = append(l.logins, lg)
	}
}

// maxAuthMessage bounds a password or SASL message, as PostgreSQL does.
const maxAuthMessage = 65535

// accepted begins a client.
func (l *loop) accepted(ln *endpoint, fd int) {
	now := l.now
	addr, local := peerOf(fd)
	pol := l.proxy.policy.Load()
	c := &client{loop: l, id: l.proxy.ids.Add(1), addr: addr.Addr(), port: addr.Port(), local: local, connectedAt: now, turn: resting, place: nowhere, login: l.newLogin()}
	c.endpoint = endpoint{fd: int32(fd), role: roleClient, slot: -1}
	why := l.proxy.gate.connect(&pol.Limits, c.limitAddr(), now)
	if why == noReason && !l.proxy.takes() {
		l.proxy.gate.disconnect(&pol.Limits, c.limitAddr())
		why = poolerShutdown
	}
	if why != noReason {
		l.turnAway(fd, why)
		return
	}
	if !local {
		l.tuned(ln, fd, pol.TCPKeepAlive)
	}
	c.counted = true
	l.proxy.gate.logging.Add(1)
	l.clients[c] = struct{}{}
	if err := l.drv.add(&c.endpoint); err != nil {
		l.log.Error("client not taken", "error", err)
		l.dropClient(c)
		return
	}
	l.arm(c)
}

// limitAddr is what limits count the client by; not valid for local ones.
func (c *client) limitAddr() netip.Addr {
	if c.local {
		return netip.Addr{}
	}
	return c.addr
}

// turnAway says why in one write and closes.
func (l *loop) turnAway(fd int, why reason) {
	l.proxy.gate.refused[why].Add(1)
	rep := why.report(l.proxy.policy.Load().ErrorStyle, "FATAL", "", "")
	say := func() { sayAndClose(fd, wire.AppendReport(nil, wire.ErrorResponse, rep)) }
	g := &l.proxy.gate
	if why != tooManyLogins || g.delayed.Load() >= maxDelayed {
		say()
		return
	}
	g.delayed.Add(1)
	time.AfterFunc(rejectDelay, func() {
		defer g.delayed.Add(-1)
		say()
	})
}

// A source that logs in too often is told only after a moment: most clients try
// again at once when they are refused. Only so many wait like that.
const (
	rejectDelay = time.Second
	maxDelayed  = 1024
)

// forgetLogin gives back what counts and registers a client.
func (l *loop) forgetLogin(c *client) {
	g := &l.proxy.gate
	if c.counted {
		g.logging.Add(-1)
		c.counted = false
	}
	if c.entered {
		g.leave(c.pool.database.Load(), c.user)
		c.pool.clients.Add(-1)
		c.entered = false
	}
	if c.ticket != (auth.Ticket{}) {
		l.proxy.cancel.Remove(c.ticket)
		c.ticket = auth.Ticket{}
	}
	if c.tls != nil {
		c.tls.feed.fail(errors.New("client gone"))
	}
	g.disconnect(&l.proxy.policy.Load().Limits, c.limitAddr())
	c.login = nil
}

// early takes bytes of a client that is not served yet.
func (l *loop) early(c *client, b []byte) {
	b = c.join(b)
	taken := 0
	for !c.closed && c.stops == 0 {
		var n int
		switch c.phase {
		case phaseStartup:
			n = l.firstPacket(c, b[taken:])
		case phaseAuth, phaseConsole:
			n = l.wholeMessage(c, b[taken:])
		case phaseServe:
			n = l.front(c, b[taken:])
			taken += n
			n = 0
		default:
		}
		taken += n
		if n == 0 {
			break
		}
	}
	if !c.closed {
		l.keepIn(&c.endpoint, b, taken)
	}
}

// tlsHello is the first byte of a TLS handshake record: direct negotiation.
const tlsHello = 0x16

func (l *loop) firstPacket(c *client, b []byte) int {
	pol := l.proxy.policy.Load()
	if len(b) == 0 {
		return 0
	}
	if b[0] == tlsHello && c.tls == nil && c.login.requests == 0 {
		if pol.ClientTLS.Config == nil {
			l.dropClient(c)
			return len(b)
		}
		l.handshake(c, b, true)
		return len(b)
	}
	if len(b) < 4 {
		return 0
	}
	size, err := wire.StartupSize(b, orInt(pol.Limits.MaxStartup, wire.MaxStartup))
	if err != nil {
		l.note(c, badStartup) // not PostgreSQL's protocol: nothing is owed to it
		l.dropClient(c)
		return len(b)
	}
	if len(b) < size {
		return 0
	}
	st, err := wire.ParseStartup(b[:size])
	if err != nil && st.Code == wire.CodeCancel {
		l.note(c, badStartup)
		l.dropClient(c) // whoever cancels is never answered
		return len(b)
	}
	if err != nil {
		l.endClient(c, badStartup, "")
		return len(b)
	}
	switch st.Code {
	case wire.CodeSSL, wire.CodeGSS:
		return l.encryption(c, st.Code, b, size)
	case wire.CodeCancel:
		l.cancelRequested(c, st.PID, st.Key)
		return len(b)
	}
	l.startup(c, st)
	return size
}

// startup takes the startup packet: version, user, database, method.
func (l *loop) startup(c *client, st wire.Startup) {
	lg := c.login
	if st.Major != 3 {
		l.farewell(c, wire.Report{Severity: "FATAL", Code: "0A000",
			Message: fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", st.Major, st.Minor)})
		return
	}
	pol := l.proxy.policy.Load()
	newest := l.newestFor(pol, &st)
	if unknown := st.Unrecognized(); st.Minor > newest || st.Minor == 1 || len(unknown) > 0 {
		st.Minor = min(negotiated(st.Minor), newest)
		l.send(&c.endpoint, wire.AppendNegotiate(nil, st.Minor, unknown))
	}
	lg.startup = st
	user := st.Get("user")
	if user == "" {
		l.farewell(c, wire.Report{Severity: "FATAL", Code: "28000", Message: "no PostgreSQL user name specified in startup packet"})
		return
	}
	c.place = &place{user: user, database: orString(st.Get("database"), user), app: cleanName(st.Get("application_name"))}
	if c.tls == nil && !c.local && pol.ClientTLS.Mode >= TLSRequire {
		l.endClient(c, tlsRequired, "")
		return
	}
	lg.method, lg.rule = l.methodOf(pol, c)
	c.phase = phaseAuth
	l.findSecret(c, pol)
}

// newestMinor is the newest minor version of protocol 3 spoken here.
const newestMinor = 2

// newestFor is what a client may have: in session mode no more than its server
// speaks, which is 3.2 from PostgreSQL 18 on.
func (l *loop) newestFor(pol *ruling, st *wire.Startup) int {
	user := st.Get("user")
	name := orString(st.Get("database"), user)
	d := pol.database(name)
	if d == nil || pol.mode(d, user) != ModeSession {
		return newestMinor
	}
	if up := l.proxy.pools.upstream(d.Upstream); up != nil && up.version.Load() >= 18 {
		return newestMinor
	}
	return 0
}

// negotiated: 3.1 was never released.
func negotiated(minor int) int {
	if minor > newestMinor {
		return newestMinor
	}
	if minor == 1 {
		return 0
	}
	return minor
}

// cleanName is application_name as PostgreSQL keeps it: printable ASCII, cut.
func cleanName(s string) string {
	if len(s) > 63 {
		s = s[:63]
	}
	return strings.Map(func(r rune) rune {
		if r < 32 || r > 126 {
			return '?'
		}
		return r
	}, s)
}

// wholeMessage handles the small messages of login and console.
func (l *loop) wholeMessage(c *client, b []byte) int {
	if len(b) < wire.HeaderSize {
		return 0
	}
	limit := maxAuthMessage
	if c.phase == phaseConsole {
		limit = 1 << 20
	}
	kind, size, err := wire.Frame(b, limit)
	if err != nil {
		l.abuse(c, protocolFailure(b, limit))
		return len(b)
	}
	if len(b) < size {
		return 0
	}
	if c.phase == phaseConsole {
		c.console.message(l, c, kind, b[wire.HeaderSize:size])
		return size
	}
	if kind != wire.Password {
		l.abuse(c, fmt.Sprintf("expected a password response, got message of kind %q", kind))
		return len(b)
	}
	l.proof(c, b[wire.HeaderSize:size])
	return size
}

// authenticated: the client is who it says. What it asks for is looked at now.
func (l *loop) authenticated(c *client) {
	pol := l.proxy.policy.Load()
	if pol.Auth.Method == "any" {
		c.place.user = orString(forced(pol.database(c.database)), c.user)
	}
	if c.counted {
		c.counted = false
		l.proxy.gate.logging.Add(-1)
	}
	if l.isConsole(c) {
		l.tellOwed(c)
		l.openConsole(c, pol)
		return
	}
	d := pol.database(c.database)
	switch {
	case d == nil:
		l.note(c, noDatabase)
		l.farewell(c, wire.Report{Severity: "FATAL", Code: "3D000", Message: `database "` + c.database + `" does not exist`,
			Hint: "It is not among the pooler's databases."})
		return
	case d.Disabled:
		l.endClient(c, poolDisabled, c.database)
		return
	}
	if why := l.proxy.gate.enter(pol, d, c.user); why != noReason {
		l.endClient(c, why, "")
		return
	}
	c.place.pool = l.proxy.pools.pool(pol, d, c.database, c.user)
	if c.pool == nil {
		l.proxy.gate.leave(d, c.user)
		l.endClient(c, noDatabase, c.database)
		return
	}
	c.entered = true
	c.pool.clients.Add(1)
	if c.pool.disabled.Load() {
		l.endClient(c, poolDisabled, c.database)
		return
	}
	l.classify(c, pol)
	c.login.database = d
	c.pool.learn(c.login, d, pol)
	c.login.owed = wire.AppendAuth(c.login.owed, wire.AuthOK, nil)
	l.proxy.logins.Add(1)
	c.phase = phaseWelcome
	l.prepare(c, pol, d)
	l.tellOwed(c) // it waits for a server
}

func forced(d *Database) string {
	if d == nil {
		return ""
	}
	return d.ForcedUser
}

// prepare makes the session of a client that is logged in.
func (l *loop) prepare(c *client, pol *ruling, d *Database) {
	mode := session.Transaction
	switch pol.mode(d, c.user) {
	case ModeSession:
		mode = session.Session
	case ModeStatement:
		mode = session.Statement1
	default:
	}
	if c.login.startup.Get("replication") != "" && !strings.EqualFold(c.login.startup.Get("replication"), "false") {
		mode = session.Session
	}
	c.sess = *session.NewClient(l.cache, &pol.rules, mode, session.Settings{})
	if mode == session.Session {
		params := sessionParams(c, pol)
		at := *c.place
		at.fit = l.proxy.pools.fit(params)
		c.place = l.places.shared(at)
		if l.acquire(c) {
			l.welcome(c)
		}
		return
	}
	w := c.pool.welcome.Load()
	if w != nil {
		if l.adapt(c, pol, w) {
			l.welcome(c)
			return
		}
		if c.closed {
			return
		}
	}
	if l.acquire(c) {
		l.welcome(c)
	}
}
