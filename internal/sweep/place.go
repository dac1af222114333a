package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"spillway/internal/sweep/brake"
	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/run"
	"spillway/internal/sweep/target"
)

// Place is a database on a server of the config.
type Place struct {
	Server   string `json:"server"`
	Database string `json:"database"`
}

// Order is a sweep as a person or the config asks for it.
type Order struct {
	Place
	plan.Order
	Name    string      `json:"name,omitempty"` // in the config; "" when a person asks
	Options run.Options `json:"options"`
}

// Access is how a place is reached.
type Access struct {
	Config  *pgx.ConnConfig
	Traffic brake.Traffic // nil: no proxy to ask
}

// Dial opens a session there.
func (a Access) Dial(purpose string) run.Dial {
	return func(ctx context.Context) (*pgx.Conn, error) { return target.Connect(ctx, a.Config, purpose) }
}

// with runs do with a session there.
func (a Access) with(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := target.Connect(ctx, a.Config, "desk")
	if err != nil {
		return err
	}
	defer target.Close(conn)
	return do(conn)
}

// Plan plans a sweep.
func (a Access) Plan(ctx context.Context, o plan.Order) (p *plan.Plan, err error) {
	err = a.with(ctx, func(conn *pgx.Conn) error {
		if p, err = plan.Make(ctx, conn, o); err != nil {
			return err
		}
		history, err := run.List(ctx, conn)
		if err == nil {
			growth(history).tell(p)
		}
		return err
	})
	return p, err
}

// Begin plans a sweep anew and writes it down, for Run to take up.
func (a Access) Begin(ctx context.Context, o Order) (id int64, err error) {
	err = a.with(ctx, func(conn *pgx.Conn) error {
		p, err := plan.Make(ctx, conn, o.Order)
		if err == nil {
			id, err = run.Begin(ctx, conn, p, o.Name, o.Options)
		}
		return err
	})
	return id, err
}

// List are the sweeps of the place, newest first.
func (a Access) List(ctx context.Context) (list []run.Sweep, err error) {
	err = a.with(ctx, func(conn *pgx.Conn) error {
		list, err = run.List(ctx, conn)
		return err
	})
	return list, err
}

// Arrivals measures λ since a sweep's cut-off.
func (a Access) Arrivals(ctx context.Context, s *run.Sweep) (perSecond float64, known bool, err error) {
	err = a.with(ctx, func(conn *pgx.Conn) error {
		perSecond, known, err = plan.Arrivals(ctx, conn, s.Job.Order, s.Cutoff)
		return err
	})
	return perSecond, known, err
}

// Ask tells a sweep what is wanted of it.
func (a Access) Ask(ctx context.Context, id int64, want run.Want) (s *run.Sweep, err error) {
	err = a.with(ctx, func(conn *pgx.Conn) error {
		s, err = run.Ask(ctx, conn, id, want)
		return err
	})
	return s, err
}

// errAmbiguous: there is more than one such sweep.
var errAmbiguous = errors.New("more than one sweep is meant")

// Find picks the sweep that ref means, a number or a table's name, among those
// that are not over; list is newest first. One that failed gives way to one
// that goes on.
func Find(list []run.Sweep, ref string) (*run.Sweep, error) {
	var found *run.Sweep
	for i := range list {
		s := &list[i]
		if fmt.Sprint(s.ID) == ref {
			return s, nil
		}
		switch {
		case !named(s, ref), s.Phase.Over():
		case found == nil, found.Phase == run.Failed && s.Phase != run.Failed:
			found = s
		case s.Phase == run.Failed:
		default:
			return nil, fmt.Errorf("sweep %s: %w: %d and %d", ref, errAmbiguous, s.ID, found.ID)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("sweep %s: %w", ref, run.ErrNone)
	}
	return found, nil
}

// named says whether ref is the sweep's name in the config or its table, as
// somebody would type it.
func named(s *run.Sweep, ref string) bool {
	full := strings.ReplaceAll(s.Table, `"`, "")
	_, bare, _ := strings.Cut(full, ".")
	return ref != "" && (s.Name == ref || s.Table == ref || s.Job.Order.Table == ref || full == ref || bare == ref)
}

// Names of the parts that whoever joins this room needs.
type (
	Plan     = plan.Plan
	Strategy = plan.Strategy
	Options  = run.Options
)
