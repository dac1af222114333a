package node

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"spillway/internal/auth"
	"spillway/internal/config"
	"spillway/internal/doctor"
	"spillway/internal/notify"
	"spillway/internal/proxy"
)

// What the command line says about the doctor; it reaches the room through these.
type (
	DoctorReport = doctor.Report
	DoctorResult = doctor.Result
)

// DoctorOptions say how far the doctor goes.
type DoctorOptions struct {
	Send    bool                 // a test through every alarm channel
	Running bool                 // a node of this config runs, and holds its addresses
	Tell    func([]DoctorResult) // hears of each area as it is done; may be nil
}

// Doctor tries everything that a config names.
func Doctor(ctx context.Context, c *config.Config, o DoctorOptions) DoctorReport {
	policy := c.Policy()
	p := doctor.Plan{
		DataDir: c.DataDir, Socket: AdminSocket(c.DataDir), NeedFiles: filesFor(policy), Send: o.Send,
		Running: o.Running, Listen: doctorListen(c), Channels: doctorChannels(c),
	}
	for _, f := range c.Files() {
		p.Files = append(p.Files, doctor.File{Key: f.Key, Path: f.Path, Secret: f.Secret})
		if f.Certificate {
			p.Certificates = append(p.Certificates, doctor.Certificate{Key: f.Key, Path: f.Path})
		}
	}
	if len(c.Alarms) > 0 && (c.Admin == "" || isLocal(hostOf(c.Admin))) {
		p.Outside = slices.Sorted(maps.Keys(c.Alarms))[0]
	}
	for _, name := range slices.Sorted(maps.Keys(policy.Upstreams)) {
		p.Servers = append(p.Servers, doctorServer(c, policy, policy.Upstreams[name]))
	}
	p.Databases = doctorDatabases(policy)
	return doctor.Run(ctx, p, o.Tell)
}

func hostOf(address string) string {
	host, _, found := strings.Cut(address, "]")
	if found {
		return strings.TrimPrefix(host, "[")
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return address[:i]
	}
	return address
}

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || err == nil && ip.IsLoopback()
}

func doctorListen(c *config.Config) []doctor.Listen {
	var all []doctor.Listen
	for _, l := range c.Proxy().Listen {
		all = append(all, doctor.Listen{Key: "listen", Network: l.Network, Address: l.Address})
	}
	if c.Admin != "" {
		all = append(all, doctor.Listen{Key: "admin", Network: "tcp", Address: strings.TrimPrefix(c.Admin, "*")})
	}
	return all
}

func doctorChannels(c *config.Config) []doctor.Channel {
	channels, err := channelsOf(c)
	var all []doctor.Channel
	if err != nil {
		failed := func(context.Context) error { return err }
		all = append(all, doctor.Channel{Name: "notify", Reach: failed, Send: failed})
	}
	for _, one := range channels {
		for _, e := range one.Endpoints {
			alone := one
			alone.Endpoints = []notify.Endpoint{e}
			all = append(all, doctor.Channel{
				Name: one.Name, Endpoint: e.Host,
				Reach: func(ctx context.Context) error {
					ctx, cancel := context.WithTimeout(ctx, one.Timeout)
					defer cancel()
					reacher, ok := e.Sender.(interface{ Reach(context.Context) error })
					if !ok {
						return nil
					}
					return reacher.Reach(ctx)
				},
				Send: func(ctx context.Context) error {
					if tried := alone.Test(ctx); tried[0].Error != "" {
						return errors.New(tried[0].Error)
					}
					return nil
				},
			})
		}
	}
	return all
}

func doctorServer(c *config.Config, p *proxy.Policy, u *proxy.Upstream) doctor.Server {
	s := doctor.Server{
		Name: u.Name, Attrs: u.TargetSession, Configured: u.MaxConnections, OperatorSlots: u.OperatorSlots,
		IdleTimeout: p.Timeouts.ServerIdle, Users: slices.Sorted(maps.Keys(p.Auth.Secrets)),
	}
	for _, address := range u.Hosts {
		one := *u
		one.Hosts = []proxy.Address{address}
		login, err := maintenance(&one, "")
		if err != nil {
			continue
		}
		s.Hosts = append(s.Hosts, doctor.Host{Address: addressText(address), Login: named(login), Local: isLocal(address.Host)})
	}
	for _, d := range databasesOf(p) {
		if d.Upstream != u.Name {
			continue
		}
		pool := doctor.Pool{Database: d.Name, Name: d.DBName, Size: orInherited(d.PoolSize, p.Defaults.PoolSize) + orInherited(d.ReservePool, p.Defaults.ReservePool)}
		if pool.Name == "" && d.Name != "*" {
			pool.Name = d.Name
		}
		s.Pools = append(s.Pools, pool)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Workloads)) {
		s.Workloads = append(s.Workloads, doctor.Workload{Name: name, Share: c.Workloads[name].Share, Limit: c.Workloads[name].Limit})
	}
	for _, one := range c.Sweeps {
		s.Tables = s.Tables || one.Server == u.Name
	}
	for _, one := range c.Jobs {
		s.Tables = s.Tables || one.Server == u.Name
	}
	return s
}

func addressText(a proxy.Address) string {
	if strings.HasPrefix(a.Host, "/") {
		return a.Host
	}
	return a.Host + ":" + strconv.Itoa(int(a.Port))
}

// named makes the connection tell who it is.
func named(login *pgx.ConnConfig) *pgx.ConnConfig {
	if login.RuntimeParams == nil {
		login.RuntimeParams = map[string]string{}
	}
	login.RuntimeParams["application_name"] = "spillway doctor"
	return login
}

func orInherited(value, fallback int) int {
	if value < 0 {
		return fallback
	}
	return value
}

// databasesOf are all databases, "*" last.
func databasesOf(p *proxy.Policy) []*proxy.Database {
	var all []*proxy.Database
	for _, name := range slices.Sorted(maps.Keys(p.Databases)) {
		all = append(all, p.Databases[name])
	}
	if p.AnyDatabase != nil {
		all = append(all, p.AnyDatabase)
	}
	return all
}

// doctorDatabases are the logins besides those of the servers' urls: forced
// users, and the role that looks users up. One whose password is not known here
// in plain is left out.
func doctorDatabases(p *proxy.Policy) []doctor.Database {
	var all []doctor.Database
	asked := map[string]bool{}
	for _, d := range databasesOf(p) {
		u := p.Upstreams[d.Upstream]
		if u == nil {
			continue
		}
		where := d.DBName
		if where == "" && d.Name != "*" {
			where = d.Name
		}
		if one, ok := loginAs(p, u, where, d.ForcedUser, d.ForcedPassword); ok {
			one.Name, one.Why = d.Name, "forced user"
			all = append(all, one)
		}
		lookup := cmp.Or(d.AuthUser, p.Auth.QueryUser)
		where = cmp.Or(d.AuthDatabase, p.Auth.QueryDatabase, where)
		id := u.Name + "\x00" + where + "\x00" + lookup
		if asked[id] {
			continue
		}
		asked[id] = true
		if one, ok := loginAs(p, u, where, lookup, ""); ok {
			one.Name, one.Why = d.Name, "looks users up"
			one.Query, one.User = cmp.Or(d.AuthQuery, p.Auth.Query, auth.LookupQuery), lookup
			one.Login.RuntimeParams["search_path"] = auth.LookupSearchPath
			all = append(all, one)
		}
	}
	return all
}

func loginAs(p *proxy.Policy, u *proxy.Upstream, database, user, password string) (doctor.Database, bool) {
	if user == "" {
		return doctor.Database{}, false
	}
	if password == "" {
		secret, err := auth.ParseSecret(p.Auth.Secrets[user])
		if err == nil {
			password, _ = secret.Plain()
		}
		if password == "" && p.Auth.Secrets[user] != "" {
			return doctor.Database{}, false // only its proof is known
		}
	}
	login, err := maintenance(u, database)
	if err != nil {
		return doctor.Database{}, false
	}
	login.User, login.Password = user, password
	return doctor.Database{Login: named(login)}, true
}
