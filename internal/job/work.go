package job

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A statement's end is looked for every workLook; one that does not heed a
// cancel for workPatience loses its connection.
const (
	workLook     = 100 * time.Millisecond
	workPatience = 2 * time.Second
	workLimit    = 15 * time.Second
)

// endWork cancels what the job's dead processes left running in the database,
// and waits until none of it runs; work of tokens before below goes. It renews
// the lease meanwhile, and goes on when that is lost: the work is to end all the
// same. A connection that is busy for a dead client does not notice by itself.
func (l *lease) endWork(ctx context.Context, below int64) (ended int, err error) {
	hard, limit := time.Now().Add(workPatience), time.Now().Add(workLimit)
	seen := map[uint32]bool{}
	for {
		w, err := l.order.cancelWork(ctx, l.conn, below, time.Now().After(hard))
		if err != nil {
			return len(seen), fmt.Errorf("end the job's statements: %w%s", err, mend(err, mendRights))
		}
		for _, pid := range w.ended {
			seen[pid] = true
		}
		if len(w.ended) == 0 {
			if w.hidden > 0 {
				l.order.Tell(fmt.Sprintf("%d connections carry this job's name, but whether they work is not shown to this role%s", w.hidden, mendRights))
			}
			return len(seen), nil
		}
		if !sleep(ctx, workLook) || time.Now().After(limit) {
			return len(seen), fmt.Errorf("end the job's statements: %d still run after %v", len(w.ended), workLimit)
		}
		if time.Since(l.began) < renewal || l.lost != nil {
			continue
		}
		if l.lost = l.renew(ctx); l.conn == nil {
			return len(seen), fmt.Errorf("end the job's statements: %w", l.lost)
		}
	}
}

// mendRights is what a role lacks that may not see or end another's statements.
const mendRights = " (GRANT pg_read_all_stats, pg_signal_backend TO the role that keeps the lease)"

// worked is what one look at the job's connections found.
type worked struct {
	ended  []uint32 // backends that were told to end
	hidden int      // whose state this role may not read
}

// cancelWork cancels, or terminates, once. Idle connections stay: behind a pool
// they are somebody else's by now.
func (o *Order) cancelWork(ctx context.Context, conn *pgx.Conn, below int64, hard bool) (w worked, err error) {
	act := "pg_cancel_backend"
	if hard {
		act = "pg_terminate_backend"
	}
	rows, err := conn.Query(ctx, `SELECT pid, state IS NULL, CASE WHEN state IS NOT NULL THEN `+act+`(pid) END FROM (
			SELECT pid, state FROM pg_stat_activity
			WHERE (state IS NULL OR state NOT IN ('idle', 'disabled')) AND coalesce(backend_type, 'client backend') = 'client backend' AND pid <> pg_backend_pid()
				AND starts_with(application_name, $1)
				AND CASE WHEN substr(application_name, length($1) + 1) ~ '^[0-9]{1,18}$' THEN substr(application_name, length($1) + 1)::bigint < $2 END
			OFFSET 0) work`, "job:"+o.Name+"#", below)
	if err != nil {
		return w, err
	}
	var pid uint32
	var hidden bool
	_, err = pgx.ForEachRow(rows, []any{&pid, &hidden, nil}, func() error {
		if hidden {
			w.hidden++
		} else {
			w.ended = append(w.ended, pid)
		}
		return nil
	})
	return w, err
}
