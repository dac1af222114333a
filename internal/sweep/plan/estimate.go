package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/target"
)

// samplePages is how many pages a sample reads at most: 16 MiB, some hundred
// thousand rows.
const samplePages = 2_000

// known is what the estimate found beside the numbers.
type known struct {
	touched map[uint32]bool // leaves that may hold doomed rows
	mixed   map[uint32]bool // leaves that may hold survivors
	index   *target.Index   // whose first column the condition bounds
}

// node is what is read of EXPLAIN (FORMAT JSON, VERBOSE).
type node struct {
	Rows   float64 `json:"Plan Rows"`
	Schema string  `json:"Schema"`
	Name   string  `json:"Relation Name"`
	Plans  []node  `json:"Plans"`
}

func (n *node) each(visit func(schema, name string)) {
	if n.Name != "" {
		visit(n.Schema, n.Name)
	}
	for i := range n.Plans {
		n.Plans[i].each(visit)
	}
}

// explain asks the planner, which reads nothing of the table.
func (p *Plan) explain(ctx context.Context, conn *pgx.Conn, condition string) (node, error) {
	var text []byte
	err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON, VERBOSE) SELECT 1 FROM "+p.Table.Ident()+" AS "+target.Quote(p.Table.Name)+" WHERE "+condition).Scan(&text)
	if err != nil {
		return node{}, fmt.Errorf("ask the planner: %w", err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		return node{}, fmt.Errorf("read the planner's answer: %w", err)
	}
	return plans[0].Plan, nil
}

func (p *Plan) estimate(ctx context.Context, conn *pgx.Conn) (*known, error) {
	condition := p.Condition.At(p.Cutoff)
	doomed, err := p.explain(ctx, conn, condition)
	if err != nil {
		return nil, err
	}
	survivors, err := p.explain(ctx, conn, "NOT "+condition)
	if err != nil {
		return nil, err
	}
	k := &known{touched: p.leaves(&doomed), mixed: p.leaves(&survivors)}
	p.Doomed = Doomed{Rows: doomed.Rows, Planner: doomed.Rows, By: "the planner's statistics"}
	if p.Table.Rows > 0 {
		p.Doomed.Share = min(doomed.Rows/p.Table.Rows, 1)
	}
	if err := p.sample(ctx, conn, condition); err != nil {
		return nil, err
	}
	if err := p.arrival(ctx, conn, doomed.Rows); err != nil {
		return nil, err
	}
	k.index = p.index()
	return k, p.correlate(ctx, conn)
}

func (p *Plan) leaves(n *node) map[uint32]bool {
	found := map[uint32]bool{}
	n.each(func(schema, name string) {
		for i := range p.Table.Leaves {
			if l := &p.Table.Leaves[i]; l.Schema == schema && l.Name == name {
				found[l.OID] = true
			}
		}
	})
	return found
}

// sample reads some pages, chosen by chance, and counts. What takes too long is
// given up: the planner's number stands then.
func (p *Plan) sample(ctx context.Context, conn *pgx.Conn, condition string) error {
	var pages int64
	for i := range p.Table.Leaves {
		pages += p.Table.Leaves[i].Pages
	}
	if pages == 0 {
		p.Doomed = Doomed{By: "the table is empty"}
		p.Table.Rows = 0
		return nil
	}
	part := min(float64(samplePages)/float64(pages), 1)
	var all, doomed float64
	err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*)::float8, (count(*) FILTER (WHERE %s))::float8 FROM %s AS %s TABLESAMPLE SYSTEM (%g)",
		condition, p.Table.Ident(), target.Quote(p.Table.Name), 100*part)).Scan(&all, &doomed)
	switch {
	case target.Code(err) == "57014":
		p.warn("a sample of %.2g %% of the table took longer than %s and was given up", 100*part, planWithin)
		return nil
	case target.Code(err) != "" && target.Code(err)[:2] == "22":
		return &target.Refusal{What: fmt.Sprintf("the condition fails on some rows: %v", err), Mend: "guard it with CASE or a test for what it can take"}
	case err != nil:
		return fmt.Errorf("sample the table: %w", err)
	case part == 1:
		p.Doomed.Rows, p.Table.Rows, p.Doomed.By = doomed, all, "counted"
	case all < 1000:
		return nil
	default:
		rows := all / part
		if p.Table.Rows > 0 {
			rows = p.Table.Rows // of ANALYZE, which is exact enough
		} else {
			p.Table.Rows = rows
		}
		p.Doomed.Rows, p.Doomed.By = rows*doomed/all, fmt.Sprintf("a sample of %.0f rows", all)
	}
	if all > 0 {
		p.Doomed.Share = doomed / all
	}
	return nil
}

// ahead is over which time λ is estimated.
const ahead = time.Hour

// arrival estimates λ: what the same condition would mean an hour later, of the
// rows there are. Rows that come and go within the hour are not seen.
func (p *Plan) arrival(ctx context.Context, conn *pgx.Conn, now float64) error {
	if !p.Condition.Moves {
		return nil
	}
	later, err := p.explain(ctx, conn, p.Condition.At(p.Cutoff.Add(ahead)))
	if err != nil {
		return err
	}
	p.Lambda = max(later.Rows-now, 0) / ahead.Seconds()
	p.LambdaHow = "rows whose time comes within the hour, by the planner's statistics"
	return nil
}

// index is a valid plain B-tree whose first column is the condition's only one.
func (p *Plan) index() *target.Index {
	if len(p.Condition.Columns) == 0 {
		return nil
	}
	for i := range p.Table.Indexes {
		x := &p.Table.Indexes[i]
		if x.Valid && !x.Partial && x.Method == "btree" && len(x.Columns) > 0 && slices.Contains(p.Condition.Columns, x.Columns[0]) {
			return x
		}
	}
	return nil
}

// correlate reads how the condition's first column follows the physical order.
func (p *Plan) correlate(ctx context.Context, conn *pgx.Conn) error {
	if len(p.Condition.Columns) == 0 {
		return nil
	}
	column := p.Condition.Columns[0]
	if x := p.index(); x != nil {
		column = x.Columns[0]
	}
	rows, err := conn.Query(ctx, `SELECT correlation::float8 FROM pg_stats WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND correlation IS NOT NULL LIMIT 1`,
		p.Table.Schema, p.Table.Name, column)
	if err != nil {
		return fmt.Errorf("read correlation: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		return fmt.Errorf("read correlation: %w", err)
	}
	if len(found) > 0 {
		p.Correlation = &found[0]
	}
	return nil
}

// Arrivals is how many rows a second have become doomed since a sweep of the
// order fixed its cut-off: those that the condition means now and did not then,
// by a sample. known is false when the condition does not move, or the sample
// was too small or took too long.
func Arrivals(ctx context.Context, conn *pgx.Conn, o Order, cutoff time.Time) (perSecond float64, known bool, err error) {
	if _, err := conn.Exec(ctx, bounds); err != nil {
		return 0, false, fmt.Errorf("measure arrivals: %w", err)
	}
	t, err := target.Inspect(ctx, conn, o.Table)
	if err != nil {
		return 0, false, err
	}
	c, err := target.Read(ctx, conn, t, o.Where)
	if err != nil || !c.Moves || !c.Cutoff.After(cutoff) {
		return 0, false, err
	}
	p := &Plan{Table: t}
	part := min(float64(samplePages)/float64(max(p.pages(), 1)), 1)
	var all, fresh float64
	err = conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*)::float8, (count(*) FILTER (WHERE %s AND (%s) IS NOT TRUE))::float8 FROM %s AS %s TABLESAMPLE SYSTEM (%g)",
		c.At(c.Cutoff), c.At(cutoff), t.Ident(), target.Quote(t.Name), 100*part)).Scan(&all, &fresh)
	switch {
	case target.Code(err) == "57014":
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("measure arrivals: %w", err)
	}
	return fresh / part / c.Cutoff.Sub(cutoff).Seconds(), part == 1 || all >= 1000, nil
}
