package plan

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/target"
)

// Strategy is a way to delete.
type Strategy string

// Strategies. Drop and the row strategies can be mixed over partitions; Copy is
// taken only when a person asks for it by name.
const (
	Auto   Strategy = "auto"
	TID    Strategy = "tid"    // physical order, by page
	PK     Strategy = "pk"     // ranges of the primary key
	Keyset Strategy = "keyset" // along an index over the condition
	Drop   Strategy = "drop"   // whole partitions
	Copy   Strategy = "copy"   // survivors out, TRUNCATE, survivors back
)

// Order is what a person asks for.
type Order struct {
	Table    string   `json:"table"`
	Where    string   `json:"where"`
	Strategy Strategy `json:"strategy,omitempty"` // "" = auto
	KeepIn   string   `json:"keep_in,omitempty"`  // a table, or the path of a file
}

// Leg is one table with rows, and how it is swept.
type Leg struct {
	OID      uint32          `json:"oid"`
	Schema   string          `json:"schema"`
	Name     string          `json:"name"`
	Strategy Strategy        `json:"strategy"`
	Key      []target.Column `json:"key,omitempty"` // of pk and keyset
	PerPage  float64         `json:"per_page"`      // rows, roughly
}

// Ident is the leg's table as SQL takes it.
func (l *Leg) Ident() string { return target.Quote(l.Schema, l.Name) }

// Doomed is how much the condition means.
type Doomed struct {
	Rows    float64 `json:"rows"`
	Share   float64 `json:"share"`
	By      string  `json:"by"`      // how that is known
	Planner float64 `json:"planner"` // what PostgreSQL's planner thinks
}

// Option is one strategy with its price.
type Option struct {
	Strategy Strategy      `json:"strategy"`
	Possible bool          `json:"possible"`
	Why      string        `json:"why"` // why not, or what for
	Alone    time.Duration `json:"alone_ns"`
	Company  time.Duration `json:"company_ns"` // beside live traffic
	WAL      int64         `json:"wal_bytes"`
	Bloat    int64         `json:"bloat_bytes"` // dead rows a vacuum must make reusable
	Locks    string        `json:"locks,omitempty"`
}

// Plan is how an order would be carried out, and what was found on the way.
type Plan struct {
	Order       Order             `json:"order"`
	Table       *target.Table     `json:"table"`
	Condition   *target.Condition `json:"condition"`
	Cutoff      time.Time         `json:"cutoff"`
	Doomed      Doomed            `json:"doomed"`
	Correlation *float64          `json:"correlation"` // of the condition's column with the physical order
	Chosen      Strategy          `json:"chosen"`
	Why         string            `json:"why"`
	Options     []Option          `json:"options"`
	Legs        []Leg             `json:"legs"`
	Missing     []string          `json:"missing"` // statements a person may want to run
	Warnings    []string          `json:"warnings"`
	// Lambda is how many rows become doomed a second, Mu how many a sweep would
	// delete in company; 0 = not known.
	Lambda    float64 `json:"lambda"`
	LambdaHow string  `json:"lambda_how,omitempty"`
	Mu        float64 `json:"mu"`
}

// planWithin bounds each statement of a plan.
const planWithin = 5 * time.Second

// bounds sets that on a session.
var bounds = fmt.Sprintf("SELECT set_config('statement_timeout', '%d', false), set_config('lock_timeout', '2000', false)", planWithin.Milliseconds())

// Make plans. A *target.Refusal says why not, and how to mend it; nothing has
// changed in either case.
func Make(ctx context.Context, conn *pgx.Conn, o Order) (*Plan, error) {
	if o.Strategy == "" {
		o.Strategy = Auto
	}
	if _, err := conn.Exec(ctx, bounds); err != nil {
		return nil, fmt.Errorf("plan sweep: %w", err)
	}
	if err := target.Direct(ctx, conn); err != nil {
		return nil, err
	}
	t, err := target.Inspect(ctx, conn, o.Table)
	if err != nil {
		return nil, err
	}
	c, err := target.Read(ctx, conn, t, o.Where)
	if err != nil {
		return nil, err
	}
	p := &Plan{Order: o, Table: t, Condition: c, Cutoff: c.Cutoff, Missing: []string{}, Warnings: []string{}}
	if err := p.safe(); err != nil {
		return nil, err
	}
	known, err := p.estimate(ctx, conn)
	if err != nil {
		return nil, err
	}
	return p, p.choose(known)
}

// smallTable is up to how many rows a table is read whole without harm, for
// each deleted row.
const smallTable = 1000

// safe refuses what would hurt whatever the strategy, and warns.
func (p *Plan) safe() error {
	t := p.Table
	for _, k := range t.Referencing {
		columns := ""
		for i, c := range k.Columns {
			if i > 0 {
				columns += ", "
			}
			columns += target.Quote(c)
		}
		// reltuples is -1 for a table never analyzed: it may be any size.
		if !k.Indexed && !(k.Rows >= 0 && k.Rows < smallTable) {
			return &target.Refusal{
				What: fmt.Sprintf("foreign key %s of %s (%s) has no index on (%s): each deleted row would read that whole table", target.Quote(k.Name), k.Table, k.OnDelete, columns),
				Mend: fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s)", k.Table, columns),
			}
		}
		switch k.OnDelete {
		case "cascade":
			p.warn("deleting cascades into %s (foreign key %s): its rows go too, and are not counted", k.Table, target.Quote(k.Name))
		case "set null", "set default":
			p.warn("each deleted row updates rows of %s (foreign key %s, %s)", k.Table, target.Quote(k.Name), k.OnDelete)
		default:
			p.warn("a doomed row that %s still refers to (foreign key %s) ends the sweep with an error", k.Table, target.Quote(k.Name))
		}
	}
	for _, g := range t.Triggers {
		if g.Delete && g.Enabled && g.Row {
			p.warn("trigger %s runs for each deleted row", target.Quote(g.Name))
		}
	}
	for _, x := range t.Indexes {
		if !x.Valid {
			p.warn("index %s is invalid: every write pays for it and no read uses it", target.Quote(x.Name))
			p.Missing = append(p.Missing, "DROP INDEX CONCURRENTLY "+target.Quote(t.Schema, x.Name)+";")
		}
	}
	if len(p.Condition.Reads) > 0 {
		p.warn("the condition reads %v as it is at each batch, not as it is now", p.Condition.Reads)
	}
	if !t.Server.Monitor {
		p.warn("role %s sees no other sessions, so the sweep will take them to be busy; GRANT pg_monitor TO %s", t.Server.Role, target.Quote(t.Server.Role))
	}
	return nil
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}
