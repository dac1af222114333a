package node

import (
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/config"
	"spillway/internal/detect"
	"spillway/internal/probe"
	"spillway/internal/probe/postgres"
)

// boundsOf are the detectors' bounds as a config sets them; what has no key is
// as detect has it.
func boundsOf(c *config.Config) detect.Bounds {
	b, w := detect.Defaults(), &c.Watch
	ratio := func(p config.Percent) float64 { return float64(p) / 100 }
	b.SlotsWarn, b.SlotsPage = ratio(w.SlotsWarn), ratio(w.SlotsPage)
	b.WaitWarn, b.WaitPage = w.WaitWarn, w.WaitPage
	b.ForecastWarn, b.ForecastPage = w.ForecastWarn, w.ForecastPage
	b.LeakAfter = w.LeakAfter
	b.StormMany, b.StormShare, b.StormAge = w.StormMany, ratio(w.StormShare), w.StormAge
	b.Transaction = w.Transaction
	b.StatementCritical, b.StatementNormal, b.StatementBatch = w.Statement.Critical, w.Statement.Normal, w.Statement.Batch
	b.BlockedWarn, b.BlockedPage = w.BlockedWarn, w.BlockedPage
	b.LagWarn, b.LagPage = w.LagWarn, w.LagPage
	b.TableRows = float64(w.TableRows)
	b.ClearAfter = w.ClearAfter
	return b
}

// Objective of a node whose config names none.
const (
	usualTarget = 0.999
	usualWait   = time.Second
	usualWindow = 30 * 24 * time.Hour
)

// objectivesOf are the config's objectives; without any, one for the critical
// workloads, or for all where none is critical.
func objectivesOf(c *config.Config) []detect.Objective {
	var list []detect.Objective
	for _, name := range slices.Sorted(maps.Keys(c.SLO)) {
		s := c.SLO[name]
		list = append(list, detect.Objective{Name: name, Workloads: s.Workloads, Target: s.Ratio(), Wait: s.Wait, Latency: s.Latency, Window: s.Window})
	}
	if len(list) > 0 {
		return list
	}
	o := detect.Objective{Name: "all", Target: usualTarget, Wait: usualWait, Window: usualWindow}
	for _, name := range slices.Sorted(maps.Keys(c.Workloads)) {
		if c.Workloads[name].Class == "critical" {
			o.Name, o.Workloads = "critical", append(o.Workloads, name)
		}
	}
	return []detect.Objective{o}
}

// postgresOf are the probes of the servers of a config.
func (d *watchDesk) postgresOf(c *config.Config) map[string]*postgres.Server {
	servers := map[string]*postgres.Server{}
	if !c.Watch.Postgres {
		return servers
	}
	for name := range c.Servers {
		servers[name] = postgres.New(postgres.Config{
			Name: name, Databases: tablesIn(c, name), Tables: c.Watch.Tables, Every: postgres.Usual(),
			Login: func(database string) (*pgx.ConnConfig, error) { return d.login(name, database) },
		})
	}
	return servers
}

// login is how the maintenance role of a server connects, by the config that
// holds now.
func (d *watchDesk) login(server, database string) (*pgx.ConnConfig, error) {
	up := d.configNow().Policy().Upstreams[server]
	if up == nil {
		return nil, errNoServer
	}
	return maintenance(up, database)
}

// tablesIn are the databases of a server whose tables are looked at: those
// that clients may ask for by name, or that of the url where there are none.
func tablesIn(c *config.Config, server string) []string {
	found := map[string]bool{}
	for name, one := range c.Databases {
		if one.Server != server || name == "*" && one.DBName == "" {
			continue
		}
		if one.DBName != "" {
			name = one.DBName
		}
		found[name] = true
	}
	if len(found) == 0 {
		if up := c.Policy().Upstreams[server]; up != nil && up.Database != "" {
			found[up.Database] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func targetsOf(c *config.Config) []*probe.Target {
	var list []*probe.Target
	for _, name := range slices.Sorted(maps.Keys(c.Targets)) {
		t := c.Targets[name]
		list = append(list, probe.NewTarget(probe.TargetConfig{Name: name, Group: t.Group, URL: t.URL, Status: t.Status, Insecure: t.Insecure, Timeout: t.Timeout, Every: t.Every}))
	}
	return list
}
