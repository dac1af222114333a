package node

import (
	"crypto/tls"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"spillway/internal/proxy"
)

// maintenance is how the maintenance role of an upstream logs in to the primary,
// past the proxy. An empty database is that of the server's url. Nothing of
// libpq's environment comes in.
func maintenance(u *proxy.Upstream, database string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig("host=localhost port=5432 user=spillway dbname=postgres sslmode=disable passfile=/dev/null servicefile=/dev/null")
	if err != nil {
		return nil, fmt.Errorf("make login: %w", err)
	}
	if len(u.Hosts) == 0 {
		return nil, fmt.Errorf("server %s has no host", u.Name)
	}
	c.User, c.Password, c.Database = u.User, u.Password, u.Database
	if database != "" {
		c.Database = database
	}
	if c.Database == "" {
		c.Database = u.User
	}
	var ways []*pgconn.FallbackConfig
	for _, host := range u.Hosts {
		ways = append(ways, waysTo(u, host)...)
	}
	c.Host, c.Port, c.TLSConfig, c.Fallbacks = ways[0].Host, ways[0].Port, ways[0].TLSConfig, ways[1:]
	if len(u.Hosts) > 1 {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return c, nil
}

// waysTo are the ways to connect to one host, in the order of sslmode.
func waysTo(u *proxy.Upstream, host proxy.Address) []*pgconn.FallbackConfig {
	plain := &pgconn.FallbackConfig{Host: host.Host, Port: host.Port}
	if u.TLS == nil || u.TLSMode == proxy.TLSDisable || host.Host[0] == '/' {
		return []*pgconn.FallbackConfig{plain}
	}
	var secure *tls.Config = u.TLS.Clone()
	if secure.ServerName == "" {
		secure.ServerName = host.Host
	}
	encrypted := &pgconn.FallbackConfig{Host: host.Host, Port: host.Port, TLSConfig: secure}
	switch u.TLSMode {
	case proxy.TLSAllow:
		return []*pgconn.FallbackConfig{plain, encrypted}
	case proxy.TLSPrefer:
		return []*pgconn.FallbackConfig{encrypted, plain}
	default:
		return []*pgconn.FallbackConfig{encrypted}
	}
}
