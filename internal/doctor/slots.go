package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// stock is what a server says of its connections.
type stock struct {
	most, reserved, others int
}

func (k stock) usable() int { return k.most - k.reserved }

func (k stock) arithmetic() string {
	return fmt.Sprintf("%d − %d reserved = %d", k.most, k.reserved, k.usable())
}

// slots does the arithmetic of connections: what the server has, what the config
// promises of it.
func (s *Server) slots(ctx context.Context, c *chart, conn *pgx.Conn) {
	var k stock
	err := conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('max_connections')::int,
  pg_catalog.current_setting('superuser_reserved_connections')::int + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int,
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid() AND coalesce(backend_type = 'client backend', usesysid IS NOT NULL AND datid IS NOT NULL))::int`).
		Scan(&k.most, &k.reserved, &k.others)
	if err != nil {
		c.add(Warn, "slots", "", "cannot be asked: %v", err)
		return
	}
	budget := s.budget(c, k)
	s.sharing(c, budget)
	s.databases(ctx, c, conn)
}

// budget holds max_connections of the config against the server's, and returns
// what pools may have.
func (s *Server) budget(c *chart, k stock) int {
	const check = "max_connections"
	at := "servers." + s.Name + "."
	budget := s.Configured
	switch {
	case budget == 0:
		budget = k.usable()
		c.add(OK, check, "", "auto: %s, less what others hold; %d connections are open there now", k.arithmetic(), k.others)
	case budget > k.usable():
		c.add(Fail, check, fmt.Sprintf("%smax_connections: %d or less, or auto", at, k.usable()), "%d are promised, the server has %s", budget, k.arithmetic())
	case budget+k.others > k.usable():
		c.add(Warn, check, at+"max_connections: auto goes by what is left", "%d are promised of %s, and %d connections are open there now, a running Spillway's among them", budget, k.arithmetic(), k.others)
	default:
		c.add(OK, check, "", "%d of %s; %d connections are open there now", budget, k.arithmetic(), k.others)
	}
	if s.OperatorSlots >= budget {
		c.add(Fail, "operator_slots", at+"operator_slots: 3", "%d leave nothing of %d", s.OperatorSlots, budget)
	}
	return max(min(budget, k.usable())-s.OperatorSlots, 0)
}

// sharing holds pools and workloads against what they share.
func (s *Server) sharing(c *chart, budget int) {
	sum, tooLarge := 0, false
	for _, p := range s.Pools {
		sum += p.Size
		if p.Size > budget {
			tooLarge = true
			c.add(Fail, "pool of "+p.Database, fmt.Sprintf("pool_size: %d or less", max(budget, 1)), "one pool may want %d, and all pools share %d", p.Size, budget)
		}
	}
	switch {
	case tooLarge:
	case sum > budget:
		c.add(Warn, "pools", "smaller pools, or workloads with shares, say who goes first", "one pool of each of the %d databases would want %d, and all share %d: they queue when all are busy", len(s.Pools), sum, budget)
	default:
		c.add(OK, "pools", "", "one pool of each of the %d databases may want %d of %d", len(s.Pools), sum, budget)
	}
	for _, w := range s.Workloads {
		if w.Limit > budget {
			c.add(Warn, "workload "+w.Name, fmt.Sprintf("workloads.%s.limit: less than %d", w.Name, budget), "its limit %d is above the %d that all share: it limits nothing", w.Limit, budget)
		}
	}
}

// databases looks whether they are there and take as many connections.
func (s *Server) databases(ctx context.Context, c *chart, conn *pgx.Conn) {
	for _, p := range s.Pools {
		if p.Name == "" {
			continue
		}
		var limit int
		var allowed bool
		err := conn.QueryRow(ctx, `SELECT datconnlimit, datallowconn FROM pg_catalog.pg_database WHERE datname = $1`, p.Name).Scan(&limit, &allowed)
		check := "database " + p.Database
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			c.add(Fail, check, "CREATE DATABASE there, or the right dbname", "%s is not there", p.Name)
		case err != nil:
			c.add(Warn, check, "", "cannot be asked: %v", err)
		case !allowed:
			c.add(Fail, check, "ALTER DATABASE … ALLOW_CONNECTIONS true", "%s takes no connections", p.Name)
		case limit >= 0 && limit < p.Size:
			c.add(Fail, check, "ALTER DATABASE … CONNECTION LIMIT -1, or a smaller pool_size", "%s takes %d connections, and its pool may want %d", p.Name, limit, p.Size)
		default:
			c.add(OK, check, "", "%s is there", p.Name)
		}
	}
}

// examine tries a login that the config names besides the server's own.
func (d *Database) examine(ctx context.Context) *chart {
	c := &chart{area: "database " + d.Name}
	h := Host{Address: fmt.Sprintf("as %s (%s)", d.Login.User, d.Why), Login: d.Login, Local: true, again: true}
	conn := h.login(ctx, c)
	if conn == nil {
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if d.Query != "" {
		d.lookup(ctx, c, conn)
	}
	_ = conn.Close(ctx) // it served
	return c
}

// lookup asks for the secret of a user, and tells nothing of the answer but its form.
func (d *Database) lookup(ctx context.Context, c *chart, conn *pgx.Conn) {
	const check = "auth_query"
	rows, err := conn.Query(ctx, d.Query, d.User)
	if err != nil {
		found, _ := why(err)
		c.add(Fail, check, "name functions with their schema (search_path is pg_catalog), and GRANT EXECUTE on a SECURITY DEFINER function that reads pg_authid", "%s", found)
		return
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	columns := len(rows.FieldDescriptions())
	switch {
	case rows.Err() != nil:
		found, _ := why(rows.Err())
		c.add(Fail, check, "GRANT EXECUTE on a SECURITY DEFINER function that reads pg_authid", "%s", found)
	case columns != 2:
		c.add(Fail, check, "SELECT user, secret …", "it answers %d columns instead of two", columns)
	case n > 1:
		c.add(Fail, check, "… WHERE rolname = $1", "it answers %d rows for one user", n)
	case n == 0:
		c.add(Warn, check, "look whether it finds your users", "it runs, and does not know %s", d.User)
	default:
		c.add(OK, check, "", "it runs, and knows %s", d.User)
	}
}
