package proxy

import (
	"strings"
	"sync"

	"spillway/internal/auth"
	"spillway/internal/session"
	"spillway/internal/wire"
)

// notSettings are startup parameters that name the session, not a setting.
func notSetting(name string) bool {
	switch name {
	case "user", "database", "options", "replication":
		return true
	}
	return strings.HasPrefix(name, "_pq_.")
}

// sessionParams are what a session client's own server is started with.
func sessionParams(c *client, pol *ruling) []wire.Param {
	var list []wire.Param
	for _, p := range c.login.startup.Params {
		if p.Name == "user" || p.Name == "database" || strings.HasPrefix(p.Name, "_pq_.") || pol.ignore[strings.ToLower(p.Name)] {
			continue
		}
		if p.Name == "application_name" && pol.ApplicationNameHost {
			p.Value = nameWithHost(p.Value, c)
		}
		list = append(list, p)
	}
	return list
}

func nameWithHost(name string, c *client) string {
	where := c.from().String()
	if c.local {
		where = "unix"
	}
	return cleanName(name + " - " + where)
}

// welcomeOf is what clients are told, as one server reported it.
func welcomeOf(params []wire.Param) *welcome {
	return &welcome{params: params, base: settingsOf(params).With("application_name", "")}
}

func settingsOf(params []wire.Param) session.Settings {
	var s session.Settings
	for _, p := range params {
		s = s.With(p.Name, p.Value)
	}
	return s
}

func (w *welcome) has(name string) bool {
	for _, p := range w.params {
		if strings.EqualFold(p.Name, name) {
			return true
		}
	}
	return false
}

// known remembers which settings servers have taken, and how they spell them:
// a client that asks for one of these need not wait for a server at login.
type known struct {
	mu   sync.Mutex // guards list
	list map[session.Settings]session.Settings
}

// maxKnown bounds the memory clients with ever new settings can take.
const maxKnown = 1000

func (k *known) get(s session.Settings) (session.Settings, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.list[s]
	return v, ok
}

func (k *known) put(asked, spelled session.Settings) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil || len(k.list) >= maxKnown {
		k.list = map[session.Settings]session.Settings{}
	}
	k.list[asked] = spelled
}

// adapt makes the settings the client asked for. It returns true when it may be
// welcomed without a server: every value is known to be good.
func (l *loop) adapt(c *client, pol *ruling, w *welcome) bool {
	c.login.adapted = true
	want, plain := w.base, true
	set := func(name, value string) {
		plain = plain && (name == "application_name" || pol.ignore[name])
		switch {
		case pol.ignore[name]:
		case name == "application_name":
			if pol.ApplicationNameHost {
				value = nameWithHost(value, c)
			}
			want = want.With(name, cleanName(value))
		case session.Reported(name) && w.has(name):
			want = want.With(name, value)
		default:
			want = want.WithExtra(name, value)
		}
	}
	if pol.ApplicationNameHost && c.login.startup.Get("application_name") == "" {
		set("application_name", "app")
	}
	for _, p := range c.login.startup.Params {
		switch {
		case p.Name == "options":
			opts, bad := parseOptions(p.Value)
			if bad != "" {
				if pol.ignore["options"] {
					continue
				}
				l.endClient(c, unsupportedParameter, "options: "+bad)
				return false
			}
			for _, o := range opts {
				set(strings.ToLower(o.Name), o.Value)
			}
		case notSetting(p.Name):
		default:
			set(strings.ToLower(p.Name), p.Value)
		}
	}
	c.sess.Settings, c.sess.Startup = want, want
	if plain || want == w.base.With("application_name", want.Get("application_name")) {
		return true
	}
	spelled, ok := c.pool.known.get(want)
	if ok {
		c.sess.Settings, c.sess.Startup = spelled, spelled
	}
	return ok
}

// parseOptions reads the startup parameter options: -c name=value, -cname=value
// and --name=value, with backslash before what would separate. Anything else
// is returned as bad.
func parseOptions(s string) (list []wire.Param, bad string) {
	words := splitOptions(s)
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		default:
			return nil, w
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, w
		}
		list = append(list, wire.Param{Name: strings.ReplaceAll(name, "-", "_"), Value: value})
	}
	return list, ""
}

func splitOptions(s string) []string {
	var words []string
	var b strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
			in = true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f':
			if in {
				words = append(words, b.String())
				b.Reset()
				in = false
			}
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, b.String())
	}
	return words
}

// welcome tells a client that it is in: parameters, key, ready.
func (l *loop) welcome(c *client) {
	pol := l.proxy.policy.Load()
	s := c.srv
	w := c.pool.welcome.Load()
	switch {
	case c.sess.Mode == session.Session:
		w = &welcome{params: s.params}
	case !c.login.adapted:
		// The pool's first server told what the settings are based on.
		if w == nil {
			w = welcomeOf(s.params)
		}
		if !l.adapt(c, pol, w) && (c.closed || !l.attach(c, s)) {
			return // comes back when the server has the settings
		}
		if c.closed {
			return
		}
	}
	if s != nil && c.sess.Mode != session.Session {
		c.pool.known.put(c.sess.Startup, c.sess.Settings)
		c.sess.Startup = c.sess.Settings
	}
	out := append(l.words[:0], c.login.owed...)
	c.login.owed = nil
	out = l.greet(c, w, out)
	out = l.giveKey(c, s, out)
	out = wire.AppendReady(out, wire.Idle)
	l.send(&c.endpoint, out)
	l.words = out[:0]
	c.phase = phaseServe
	c.idleAt = l.now
	if pol.LogConnections {
		l.log.Info("client logged in", "client", c.id, "user", c.user, "database", c.database, "addr", c.from().String(),
			"application", c.app, "tls", c.tlsName())
	}
	l.spareLogin(c)
	if c.sess.Mode != session.Session && s != nil {
		c.unlease()
		l.restart(c)
		l.release(s)
	}
	l.disarm(c)
	l.arm(c)
	l.unstop(&c.endpoint, stopWaiting)
}

func (c *client) tlsName() string {
	if c.tls == nil {
		return ""
	}
	return c.tls.name
}

// tellOwed sends what a client that logs in was to be told with the next words:
// these are not to come at once. One packet instead of two spares both sides a
// tenth of what a login costs.
func (l *loop) tellOwed(c *client) {
	if c.login == nil || len(c.login.owed) == 0 {
		return
	}
	owed := c.login.owed
	c.login.owed = nil
	l.send(&c.endpoint, owed)
}

// greeting is what a client's parameters depend on.
type greeting struct {
	welcome  *welcome
	settings session.Settings
}

// maxTold bounds how many greetings a loop keeps, and toldSize their length.
const (
	maxTold  = 64
	toldSize = 4 << 10
)

// greet appends the parameters, which most clients of a pool have in common.
func (l *loop) greet(c *client, w *welcome, out []byte) []byte {
	if c.sess.Mode == session.Session {
		return l.tell(c, w, out)
	}
	key := greeting{w, c.sess.Settings}
	if b, ok := l.told[key]; ok {
		return append(out, b...)
	}
	from := len(out)
	out = l.tell(c, w, out)
	if len(out)-from > toldSize {
		return out
	}
	if l.told == nil || len(l.told) >= maxTold {
		l.told = map[greeting][]byte{}
	}
	l.told[key] = append([]byte(nil), out[from:]...)
	return out
}

// tell appends the parameters as the client's own session has them.
func (l *loop) tell(c *client, w *welcome, out []byte) []byte {
	for _, p := range w.params {
		value := p.Value
		if c.sess.Mode != session.Session && session.Reported(p.Name) {
			value = c.sess.Settings.Get(p.Name)
		}
		out = wire.AppendParameterStatus(out, p.Name, value)
	}
	return out
}

// giveKey registers the client for cancel requests: in session mode under the
// real process id of its server, with a secret of our own.
func (l *loop) giveKey(c *client, s *server, out []byte) []byte {
	size := 4
	if c.login.startup.Minor >= 2 {
		size = 32
	}
	var ticket auth.Ticket
	var key auth.CancelKey
	var err error
	if c.sess.Mode == session.Session {
		ticket, key, err = l.proxy.cancel.Register(int32(s.pid), size, c)
	} else {
		ticket, key, err = l.proxy.cancel.Allocate(size, c)
	}
	if err != nil {
		return out
	}
	c.ticket = ticket
	return wire.AppendBackendKey(out, uint32(ticket.PID), key)
}
