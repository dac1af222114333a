package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sample"
)

// tableRows reads the statistics of the tables with the most dead rows, of the
// largest, and of those named ($1). Sizes are relpages, as of the last vacuum or
// analyze: to measure them would take a lock.
const tableRows = `WITH t AS (
  SELECT s.schemaname || '.' || s.relname AS name, c.relpages::float8 * current_setting('block_size')::int AS bytes,
    s.n_live_tup::float8 AS live, s.n_dead_tup::float8 AS dead, s.n_tup_ins::float8 AS ins, s.n_tup_upd::float8 AS upd, s.n_tup_del::float8 AS del,
    extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS vacuumed, (s.vacuum_count + s.autovacuum_count)::float8 AS runs,
    coalesce((SELECT o.option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_vacuum_threshold'), current_setting('autovacuum_vacuum_threshold')::float8)
    + coalesce((SELECT o.option_value::float8 FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_vacuum_scale_factor'), current_setting('autovacuum_vacuum_scale_factor')::float8)
    * greatest(c.reltuples, 0) AS bound
  FROM pg_catalog.pg_stat_user_tables s JOIN pg_catalog.pg_class c ON c.oid = s.relid
)
SELECT name, bytes, live, dead, ins, upd, del, vacuumed, runs, bound, name = ANY ($1) FROM t
WHERE name = ANY ($1) OR name IN (SELECT name FROM t ORDER BY dead DESC LIMIT 20) OR name IN (SELECT name FROM t ORDER BY bytes DESC LIMIT 10)
LIMIT 200`

func (s *Server) lookTables(ctx context.Context) error {
	all := &sample.Tables{}
	for i, l := range s.tables {
		database := s.config.Databases[i]
		others := len(all.Items)
		err := l.with(ctx, func(c *pgx.Conn) error {
			all.Items = all.Items[:others]
			rows, err := c.Query(ctx, tableRows, s.named(database))
			if err != nil {
				return err
			}
			return readTables(all, database, rows)
		})
		if err != nil {
			return fmt.Errorf("read tables of database %s: %w", database, err)
		}
	}
	all.At = time.Now()
	s.tableStats.Set(all)
	return nil
}

func readTables(all *sample.Tables, database string, rows pgx.Rows) error {
	defer rows.Close()
	now := time.Now()
	for rows.Next() {
		t := sample.Table{Database: database}
		var vacuumed *float64
		if err := rows.Scan(&t.Name, &t.Bytes, &t.Live, &t.Dead, &t.Inserted, &t.Updated, &t.Deleted, &vacuumed, &t.VacuumRuns, &t.DeadBound, &t.Named); err != nil {
			return err
		}
		if vacuumed != nil {
			t.VacuumedAt = now.Add(-span(*vacuumed))
		}
		all.Items = append(all.Items, t)
	}
	return rows.Err()
}

// named are the tables that the config names in a database, as schema.table.
func (s *Server) named(database string) []string {
	list := []string{}
	for _, name := range s.config.Tables {
		switch parts := strings.Split(name, "."); {
		case len(parts) == 1:
			list = append(list, "public."+name)
		case len(parts) == 2:
			list = append(list, name)
		case parts[0] == database:
			list = append(list, strings.Join(parts[1:], "."))
		}
	}
	return list
}
