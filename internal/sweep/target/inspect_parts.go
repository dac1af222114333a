package target

import (
	"context"

	"github.com/jackc/pgx/v5"
)

func readColumns(ctx context.Context, conn *pgx.Conn, t *Table) error {
	rows, err := conn.Query(ctx, `
		SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated <> ''
		FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, t.OID)
	if err != nil {
		return err
	}
	t.Columns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Column])
	return err
}

func readIndexes(ctx context.Context, conn *pgx.Conn, t *Table) error {
	rows, err := conn.Query(ctx, `
		SELECT c.relname, ARRAY(SELECT coalesce(a.attname, '') FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, at)
		                        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num AND k.num > 0
		                        WHERE k.at <= i.indnkeyatts ORDER BY k.at)::text[],
		       am.amname, pg_relation_size(c.oid), i.indisvalid AND i.indisready, i.indisunique, i.indpred IS NOT NULL, i.indisprimary
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
		WHERE i.indrelid = $1 ORDER BY i.indisprimary DESC, c.relname`, t.OID)
	if err != nil {
		return err
	}
	var x Index
	var primary bool
	_, err = pgx.ForEachRow(rows, []any{&x.Name, &x.Columns, &x.Method, &x.Bytes, &x.Valid, &x.Unique, &x.Partial, &primary}, func() error {
		x.Columns = append([]string(nil), x.Columns...)
		t.Indexes = append(t.Indexes, x)
		if primary {
			t.PrimaryKey = t.pick(x.Columns)
		}
		return nil
	})
	return err
}

// pick returns the columns of these names, in their order.
func (t *Table) pick(names []string) []Column {
	var picked []Column
	for _, name := range names {
		for _, c := range t.Columns {
			if c.Name == name {
				picked = append(picked, c)
			}
		}
	}
	return picked
}

func readTriggers(ctx context.Context, conn *pgx.Conn, t *Table) error {
	rows, err := conn.Query(ctx, `
		SELECT tgname, tgtype & 8 <> 0, tgtype & 1 <> 0, tgenabled <> 'D'
		FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal ORDER BY tgname`, t.OID)
	if err != nil {
		return err
	}
	t.Triggers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Trigger])
	return err
}

func readForeignKeys(ctx context.Context, conn *pgx.Conn, t *Table) error {
	// Constraints of partitions are children of the parent's and not listed. A
	// referencing partitioned table is indexed if its own index is valid.
	rows, err := conn.Query(ctx, `
		SELECT k.confrelid = $1, k.conname, format('%I.%I', n.nspname, o.relname),
		       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(num, at) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at)::text[],
		       CASE k.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default' WHEN 'r' THEN 'restrict' ELSE 'no action' END,
		       EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
		               AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey),
		       f.reltuples::float8
		FROM pg_constraint k
		JOIN pg_class o ON o.oid = CASE WHEN k.confrelid = $1 THEN k.conrelid ELSE k.confrelid END
		JOIN pg_class f ON f.oid = k.conrelid
		JOIN pg_namespace n ON n.oid = o.relnamespace
		WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = $1 OR k.confrelid = $1) ORDER BY k.conname`, t.OID)
	if err != nil {
		return err
	}
	var k ForeignKey
	var incoming bool
	_, err = pgx.ForEachRow(rows, []any{&incoming, &k.Name, &k.Table, &k.Columns, &k.OnDelete, &k.Indexed, &k.Rows}, func() error {
		k := k
		k.Columns = append([]string(nil), k.Columns...)
		if incoming {
			t.Referencing = append(t.Referencing, k)
		} else {
			t.References = append(t.References, k)
		}
		return nil
	})
	return err
}

func readPublications(ctx context.Context, conn *pgx.Conn, t *Table) error {
	var deletes bool
	err := conn.QueryRow(ctx, `
		SELECT coalesce(array_agg(p.pubname ORDER BY p.pubname)::text[], '{}'), coalesce(bool_or(p.pubdelete), false)
		FROM pg_publication p WHERE p.puballtables OR EXISTS (
			SELECT 1 FROM pg_publication_tables pt WHERE pt.pubname = p.pubname AND format('%I.%I', pt.schemaname, pt.tablename) =
				ANY (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1 OR c.oid = ANY($2)))`,
		t.OID, t.oids()).Scan(&t.Published, &deletes)
	if err != nil {
		return err
	}
	lacks := t.Identity == "nothing" || t.Identity == "primary key" && len(t.PrimaryKey) == 0
	if deletes && lacks {
		return refuse("publication "+t.Published[0]+" publishes deletes of "+t.Ident()+", which has no replica identity: every DELETE would fail",
			"give it a primary key, or ALTER TABLE "+t.Ident()+" REPLICA IDENTITY USING INDEX …")
	}
	return nil
}

func (t *Table) oids() []uint32 {
	oids := make([]uint32, len(t.Leaves))
	for i := range t.Leaves {
		oids[i] = t.Leaves[i].OID
	}
	return oids
}
