package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// rights looks at what the probing and maintenance role may do.
func (s *Server) rights(ctx context.Context, c *chart, conn *pgx.Conn) {
	var r struct{ super, monitor, signal, create bool }
	var limit int
	var until *time.Time
	err := conn.QueryRow(ctx, `SELECT rolsuper, pg_catalog.pg_has_role(current_user, 'pg_monitor', 'usage'), pg_catalog.pg_has_role(current_user, 'pg_signal_backend', 'usage'),
  pg_catalog.has_database_privilege(current_user, pg_catalog.current_database(), 'CREATE'), rolconnlimit,
  CASE WHEN pg_catalog.isfinite(rolvaliduntil) THEN rolvaliduntil END
 FROM pg_catalog.pg_roles WHERE rolname = current_user`).Scan(&r.super, &r.monitor, &r.signal, &r.create, &limit, &until)
	if err != nil {
		c.add(Warn, "rights", "", "cannot be asked: %v", err)
		return
	}
	role := pgx.Identifier{conn.Config().User}.Sanitize()
	if r.super {
		c.add(Warn, "rights", "a role of its own: CREATE ROLE spillway LOGIN IN ROLE pg_monitor, pg_signal_backend", "%s is a superuser: more than Spillway needs", role)
	} else {
		grant(c, r.monitor, "pg_monitor", role, "it does not see other roles' statements, lag and settings")
		grant(c, r.signal, "pg_signal_backend", role, "`spillway kill` cannot end connections that do not come through Spillway")
	}
	if s.Tables && !r.create {
		c.add(Warn, "right to keep tables", "GRANT CREATE ON DATABASE … TO "+role, "%s may not create a schema here, where sweeps and jobs keep theirs", role)
	}
	if need := s.OperatorSlots + 3; limit >= 0 && limit < need {
		c.add(Fail, "role's connections", "ALTER ROLE "+role+" CONNECTION LIMIT -1", "%s may have %d connections, and Spillway needs %d", role, limit, need)
	}
	if until != nil && time.Until(*until) < certWarn {
		c.add(Warn, "role's password", "ALTER ROLE "+role+" VALID UNTIL …", "the password of %s ends at %s", role, until.UTC().Format(time.DateTime+" MST"))
	}
}

func grant(c *chart, has bool, right, role, without string) {
	if has {
		c.add(OK, right, "", "%s has it", role)
		return
	}
	c.add(Warn, right, "GRANT "+right+" TO "+role, "%s lacks it: %s", role, without)
}

// settings looks at what the server is set to that Spillway goes by.
func (s *Server) settings(ctx context.Context, c *chart, conn *pgx.Conn) {
	var activity, statements bool
	var idle, password string
	err := conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('track_activities')::bool,
  EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements'),
  coalesce(pg_catalog.current_setting('idle_session_timeout', true), '0'), pg_catalog.current_setting('password_encryption')`).Scan(&activity, &statements, &idle, &password)
	if err != nil {
		c.add(Warn, "settings", "", "cannot be asked: %v", err)
		return
	}
	if !activity {
		c.add(Warn, "track_activities", "track_activities = on there", "it is off: nobody sees what a connection does")
	}
	if idle != "0" {
		c.add(Warn, "idle_session_timeout", "ALTER ROLE … SET idle_session_timeout = 0 for the pools' roles, or a shorter timeouts.server_idle (now "+s.IdleTimeout.String()+")",
			"the server closes connections that are idle for %s: pools lose theirs", idle)
	}
	if !statements {
		c.add(Warn, "pg_stat_statements", "shared_preload_libraries = 'pg_stat_statements', then CREATE EXTENSION pg_stat_statements", "it is not there: statements are known only from what goes through Spillway")
	} else {
		c.add(OK, "pg_stat_statements", "", "is there")
	}
	if password == "md5" {
		c.add(Warn, "password_encryption", "password_encryption = 'scram-sha-256' there, then set the passwords again", "new passwords are kept as md5")
	}
}

// mostNamed is how many names one line tells.
const mostNamed = 10

// users looks whether those whose secrets are known here may log in there.
func (s *Server) users(ctx context.Context, c *chart, conn *pgx.Conn) {
	if len(s.Users) == 0 {
		return
	}
	rows, err := conn.Query(ctx, `SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY($1) AND rolcanlogin`, s.Users)
	if err != nil {
		c.add(Warn, "users", "", "cannot be asked: %v", err)
		return
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		c.add(Warn, "users", "", "cannot be asked: %v", err)
		return
	}
	var missing []string
	for _, user := range s.Users {
		if !slices.Contains(there, user) {
			missing = append(missing, user)
		}
	}
	if len(missing) == 0 {
		c.add(OK, "users", "", "all %d of auth may log in there", len(s.Users))
		return
	}
	slices.Sort(missing)
	names := strings.Join(missing[:min(len(missing), mostNamed)], ", ")
	if len(missing) > mostNamed {
		names += ", …"
	}
	c.add(Warn, "users", "CREATE ROLE … LOGIN there, or take them out of auth.file", "%d of %d of auth are no roles there that may log in: %s", len(missing), len(s.Users), names)
}
