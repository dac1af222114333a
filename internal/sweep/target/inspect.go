package target

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// maxLeaves bounds the partitions of one sweep.
const maxLeaves = 10_000

// Inspect reads what the table called name is; name is as in SQL, with or
// without a schema. The error is a *Refusal when it is no table that can be
// swept by this role.
func Inspect(ctx context.Context, conn *pgx.Conn, name string) (*Table, error) {
	t := new(Table)
	for _, read := range []func(context.Context, *pgx.Conn, *Table) error{
		func(ctx context.Context, conn *pgx.Conn, t *Table) error { return t.find(ctx, conn, name) },
		readServer, readRights, readLeaves, readColumns, readIndexes, readTriggers, readForeignKeys, readPublications,
	} {
		if err := read(ctx, conn, t); err != nil {
			var refusal *Refusal
			if errors.As(err, &refusal) {
				return nil, err
			}
			return nil, fmt.Errorf("inspect table %s: %w", name, err)
		}
	}
	return t, nil
}

// kinds of relations that are no tables.
func kindName(kind string) string {
	names := map[string]string{"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index", "I": "an index", "c": "a type", "t": "a TOAST table"}
	return names[kind]
}

func (t *Table) find(ctx context.Context, conn *pgx.Conn, name string) error {
	if name == "" || len(name) > 1000 {
		return refuse("no table is named", "give one as schema.table")
	}
	var kind, persistence string
	var rules, children bool
	err := conn.QueryRow(ctx, `
		SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.reltuples::float8,
		       CASE c.relreplident WHEN 'd' THEN 'primary key' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE 'index' END,
		       EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type = '4'),
		       c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)`, name).
		Scan(&t.OID, &t.Schema, &t.Name, &kind, &persistence, &t.Rows, &t.Identity, &rules, &children)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return refuse(fmt.Sprintf("there is no table %s in this database", name), "give it as schema.table, as SQL would")
	case err != nil && strings.HasPrefix(Code(err), "42"):
		return refuse(fmt.Sprintf("%s is no table's name", name), "give it as schema.table, as SQL would")
	case err != nil:
		return err
	case kindName(kind) != "":
		return refuse(fmt.Sprintf("%s is %s, not a table", t.Ident(), kindName(kind)), "sweep the table that holds the rows")
	case t.Schema == "pg_catalog" || t.Schema == "information_schema" || t.Schema == "spillway":
		return refuse(fmt.Sprintf("%s belongs to PostgreSQL or to Spillway", t.Ident()), "")
	case persistence == "t":
		return refuse(fmt.Sprintf("%s is a temporary table", t.Ident()), "")
	case rules:
		return refuse(fmt.Sprintf("%s has a rule on DELETE, which would run instead", t.Ident()), "replace the rule by a trigger")
	case children:
		return refuse(fmt.Sprintf("other tables inherit from %s", t.Ident()), "sweep each of them by its own name, or use declarative partitions")
	}
	t.Partitioned = kind == "p"
	return nil
}

func readServer(ctx context.Context, conn *pgx.Conn, t *Table) error {
	var standby bool
	err := conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_database(), current_user, pg_is_in_recovery(),
		       pg_has_role(current_user, 'pg_read_all_stats', 'usage'), current_setting('autovacuum')::bool, current_setting('TimeZone')`).
		Scan(&t.Server.Version, &t.Server.Database, &t.Server.Role, &standby, &t.Server.Monitor, &t.Server.Autovacuum, &t.Server.TimeZone)
	if err == nil && standby {
		return refuse("the server is a standby, where nothing can be deleted", "give the primary's address")
	}
	return err
}

func readRights(ctx context.Context, conn *pgx.Conn, t *Table) error {
	var may, security, schema bool
	err := conn.QueryRow(ctx, `
		SELECT has_table_privilege($1::oid, 'SELECT') AND has_table_privilege($1::oid, 'DELETE'), row_security_active($1::oid),
		       CASE WHEN to_regnamespace('spillway') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
		            WHEN NOT has_schema_privilege('spillway', 'USAGE') THEN false
		            WHEN to_regclass('spillway.sweep') IS NULL THEN has_schema_privilege('spillway', 'CREATE')
		            ELSE has_table_privilege('spillway.sweep', 'SELECT') AND has_table_privilege('spillway.sweep', 'INSERT') AND has_table_privilege('spillway.sweep', 'UPDATE') END,
		       has_table_privilege($1::oid, 'TRUNCATE') AND has_table_privilege($1::oid, 'INSERT')`, t.OID).Scan(&may, &security, &schema, &t.Emptied)
	role := Quote(t.Server.Role)
	switch {
	case err != nil:
		return err
	case !may:
		return refuse(fmt.Sprintf("role %s may not SELECT and DELETE on %s", role, t.Ident()), fmt.Sprintf("GRANT SELECT, DELETE ON %s TO %s", t.Ident(), role))
	case security:
		return refuse(fmt.Sprintf("row security hides rows of %s from role %s", t.Ident(), role), "use the table's owner, or a role with BYPASSRLS")
	case !schema:
		return refuse(fmt.Sprintf("role %s can keep no cursor in this database", role),
			fmt.Sprintf("CREATE SCHEMA spillway AUTHORIZATION %s, or GRANT USAGE, CREATE ON SCHEMA spillway and SELECT, INSERT, UPDATE ON ALL TABLES IN it TO that role", role))
	}
	return nil
}

func readLeaves(ctx context.Context, conn *pgx.Conn, t *Table) error {
	rows, err := conn.Query(ctx, `
		WITH leaf AS (
			SELECT $1::oid AS oid WHERE NOT $2
			UNION ALL SELECT p.relid::oid FROM pg_partition_tree($1::oid::regclass) p WHERE $2 AND p.isleaf AND p.relid::oid <> $1::oid
		), off AS (
			SELECT c.oid, coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_enabled'), 'true')::bool
			              AND current_setting('autovacuum')::bool AS vacuums,
			       coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_vacuum_threshold'), current_setting('autovacuum_vacuum_threshold'))::float8 AS base,
			       coalesce((SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_vacuum_scale_factor'), current_setting('autovacuum_vacuum_scale_factor'))::float8 AS scale
			FROM pg_class c JOIN leaf USING (oid)
		)
		SELECT c.oid, n.nspname, c.relname, c.relkind::text, coalesce(am.amname, ''), coalesce(pg_relation_filenode(c.oid), 0),
		       coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::bigint, c.reltuples::float8,
		       coalesce(pg_table_size(c.oid), 0), coalesce(pg_indexes_size(c.oid), 0), coalesce(s.n_dead_tup, 0),
		       coalesce(s.n_tup_upd - s.n_tup_hot_upd, 0), coalesce(pg_get_expr(c.relpartbound, c.oid), ''),
		       CASE WHEN o.vacuums THEN o.base + o.scale * greatest(c.reltuples, 0) ELSE -1 END, coalesce(s.n_live_tup, 0)::float8,
		       pg_has_role(c.relowner, 'USAGE'), has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'DELETE')
		FROM leaf JOIN pg_class c USING (oid) JOIN off o USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
		ORDER BY c.oid LIMIT $3`, t.OID, t.Partitioned, maxLeaves+1)
	if err != nil {
		return err
	}
	var kind string
	var may bool
	var l Leaf
	_, err = pgx.ForEachRow(rows, []any{&l.OID, &l.Schema, &l.Name, &kind, &l.Method, &l.Filenode, &l.Pages, &l.Rows, &l.Bytes, &l.IndexBytes, &l.Dead, &l.Moved, &l.Bound, &l.VacuumAt, &l.Live, &l.Owned, &may}, func() error {
		if kind == "f" {
			return refuse(fmt.Sprintf("partition %s of %s is a foreign table", l.Ident(), t.Ident()), "sweep the other partitions by their own names")
		}
		if !may { // rights on the whole table are not rights on its partitions
			role := Quote(t.Server.Role)
			return refuse(fmt.Sprintf("role %s may not SELECT and DELETE on %s", role, l.Ident()), fmt.Sprintf("GRANT SELECT, DELETE ON %s TO %s, and so for the other partitions", l.Ident(), role))
		}
		t.Leaves = append(t.Leaves, l)
		return nil
	})
	if err != nil {
		return err
	}
	if len(t.Leaves) > maxLeaves {
		return refuse(fmt.Sprintf("%s has more than %d partitions", t.Ident(), maxLeaves), "sweep parts of it by their own names")
	}
	if t.Partitioned {
		t.Rows = 0
		for i := range t.Leaves {
			t.Rows += max(t.Leaves[i].Rows, 0)
		}
	}
	return nil
}
