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

// guard decides who may ask for what.
type guard struct {
	names  map[string]bool // host names TCP is reached by
	token  [sha256.Size]byte
	tokens bool // a token is configured
	uid    uint32
}

func newGuard(c Config) guard {
	g := guard{names: map[string]bool{"localhost": true}, uid: uint32(os.Geteuid())}
	for _, name := range c.Names {
		g.names[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	if c.Token != "" {
		g.token, g.tokens = sha256.Sum256([]byte(c.Token)), true
	}
	return g
}

// host refuses requests by a name that is not ours: a page elsewhere can make a
// browser resolve its own name to this address (DNS rebinding).
func (g *guard) host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !originOf(r).local && !g.ourName(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this server is not known by that host name",
				"Use its IP address, or add the name to the admin names.")
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

// caller tells who asks. refusal says why it is no more than a viewer.
func (g *guard) caller(r *http.Request) (c Caller, refusal *problem) {
	who, refusal := g.act(r)
	if refusal != nil {
		return Caller{"anonymous", Viewer}, refusal
	}
	return Caller{who, Admin}, nil
}

// act refuses verbs of those who may only look. who names the one who may.
func (g *guard) act(r *http.Request) (who string, refusal *problem) {
	o := originOf(r)
	switch {
	case o.local && o.known && (o.uid == 0 || o.uid == g.uid):
		return fmt.Sprintf("uid %d", o.uid), nil
	case o.local:
		return "", &problem{http.StatusForbidden, "only root and the user Spillway runs as may do this", "Use sudo."}
	case !g.tokens:
		return "", &problem{http.StatusForbidden, "the admin address only shows",
			"Use the unix socket in data_dir, or configure an admin token."}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if subtle.ConstantTimeCompare(given[:], g.token[:]) == 1 && strings.EqualFold(scheme, "Bearer") {
		return "token", nil
	}
	return "", &problem{http.StatusUnauthorized, "the admin token is missing or wrong",
		"Send it as Authorization: Bearer TOKEN."}
}
