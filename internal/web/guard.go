package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// origin is how a connection came in.
type origin struct {
	local bool   // over the unix socket
	known bool   // local: the kernel told uid
	uid   uint32 // of the peer
}

type originKey struct{}

// withOrigin notes a connection's origin for all of its requests.
func withOrigin(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*counted); ok {
		conn = c.Conn
	}
	var o origin
	if unix, ok := conn.(*net.UnixConn); ok {
		o.local = true
		o.uid, o.known = peerUser(unix)
	}
	return context.WithValue(ctx, originKey{}, o)
}

func originOf(r *http.Request) origin {
	o, _ := r.Context().Value(originKey{}).(origin)
	return o
}

// guard decides who may ask for what. Safe from any goroutine.
type guard struct {
	names  map[string]bool // host names TCP is reached by
	uid    uint32
	own    []Token // of Config
	grants atomic.Pointer[Grants]
}

func newGuard(c Config) *guard {
	g := &guard{names: map[string]bool{"localhost": true}, uid: uint32(os.Geteuid())}
	for _, name := range c.Names {
		g.names[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	if c.Token != "" {
		g.own = []Token{{Name: "token", Hash: sha256.Sum256([]byte(c.Token)), Role: Admin}}
	}
	g.admit(c.Grants)
	return g
}

func (g *guard) admit(to Grants) {
	to.Tokens = append(append([]Token(nil), g.own...), to.Tokens...)
	g.grants.Store(&to)
}

// host refuses requests by a name that is not ours: a page elsewhere can make a
// browser resolve its own name to this address (DNS rebinding).
func (g *guard) host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !originOf(r).local && !g.ourName(r.Host) {
			turnAway(w, r, &problem{http.StatusMisdirectedRequest, "this server is not known by that host name",
				"Use its IP address, or name it under admin_names."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *guard) ourName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(host), "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return g.names[strings.TrimSuffix(host, ".")]
}

// door refuses what nobody may ask for who calls: strangers on the socket, and
// a token that is wrong. What is shown to anybody is shown without one; public
// routes know their callers by other tokens.
func (g *guard) door(next http.Handler, public func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if public(r) {
			next.ServeHTTP(w, r)
			return
		}
		o := originOf(r)
		stranger := o.local && len(g.grants.Load().Peers) > 0
		if stranger || !o.local && r.Header.Get("Authorization") != "" && strings.HasPrefix(r.URL.Path, "/api/") && len(g.grants.Load().Tokens) > 0 {
			if _, refusal := g.caller(r); refusal != nil {
				turnAway(w, r, refusal)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// anonymous is who asks without saying who.
const anonymous = "anonymous"

// caller tells who asks. refusal says why it is no more than a viewer.
func (g *guard) caller(r *http.Request) (c Caller, refusal *problem) {
	o, nobody := originOf(r), Caller{Who: anonymous}
	grants := g.grants.Load()
	if o.local {
		if o.known && (o.uid == 0 || o.uid == g.uid) {
			return Caller{Who: fmt.Sprintf("uid %d", o.uid), Role: Admin}, nil
		}
		if peer, ok := grants.Peers[o.uid]; ok && o.known {
			return peer, nil
		}
		return nobody, &problem{http.StatusForbidden, "only root and the user Spillway runs as may do this", "Use sudo, or name the user under peers."}
	}
	if len(grants.Tokens) == 0 {
		return nobody, &problem{http.StatusForbidden, "the admin address only shows",
			"Use the unix socket in data_dir, or configure a token under tokens."}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	var found *Token
	for i := range grants.Tokens { // all of them: how long it takes tells nothing
		if subtle.ConstantTimeCompare(given[:], grants.Tokens[i].Hash[:]) == 1 {
			found = &grants.Tokens[i]
		}
	}
	switch {
	case found == nil || !strings.EqualFold(scheme, "Bearer"):
		return nobody, &problem{http.StatusUnauthorized, "the admin token is missing or wrong", "Send it as Authorization: Bearer TOKEN."}
	case !found.Until.IsZero() && !time.Now().Before(found.Until):
		return nobody, &problem{http.StatusUnauthorized, "the token has expired", "`spillway token` makes a new one."}
	}
	return Caller{Who: found.Name, Role: found.Role, Scope: found.Scope}, nil
}

// permit refuses callers whose role or scope does not cover an action.
func (g *guard) permit(r *http.Request, need Role, action, subject string) (c Caller, refusal *problem) {
	c, refusal = g.caller(r)
	switch {
	case c.Role >= need && c.May(action, subject):
		return c, nil
	case refusal == nil && c.Role < need:
		refusal = &problem{http.StatusForbidden, fmt.Sprintf("this needs the role %s, and %s has %s", need, c.Who, c.Role), ""}
	case refusal == nil:
		refusal = &problem{http.StatusForbidden, fmt.Sprintf("%s is not in the scope of %s", action, c.Who), ""}
	}
	return c, refusal
}
