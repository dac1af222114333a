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
// and waits until none of it runs. below is exclusive: work of tokens before it
// goes. A connection that is busy for a dead client does not notice by itself.
func (o *Order) endWork(ctx context.Context, below int64) (ended int, err error) {
	ctx, cancel := context.WithTimeout(ctx, workLimit)
	defer cancel()
	conn, err := o.reach(ctx)
	if err != nil {
		return 0, fmt.Errorf("end the job's statements: %w", err)
	}
	defer hangUp(conn)
	hard := time.Now().Add(workPatience)
	seen := map[uint32]bool{}
	for {
		pids, err := o.cancelWork(ctx, conn, below, time.Now().After(hard))
		if err != nil {
			return len(seen), fmt.Errorf("end the job's statements: %w", err)
		}
		for _, pid := range pids {
			seen[pid] = true
		}
		if len(pids) == 0 {
			return len(seen), nil
		}
		if !sleep(ctx, workLook) {
			return len(seen), fmt.Errorf("end the job's statements: %d still run after %v", len(pids), workLimit)
		}
	}
}

// cancelWork cancels, or terminates, once, and returns whose work it was.
func (o *Order) cancelWork(ctx context.Context, conn *pgx.Conn, below int64, hard bool) ([]uint32, error) {
	act := "pg_cancel_backend"
	if hard {
		act = "pg_terminate_backend"
	}
	rows, err := conn.Query(ctx, `SELECT pid FROM (
			SELECT pid, `+act+`(pid) FROM pg_stat_activity
			WHERE state <> 'idle' AND pid <> pg_backend_pid() AND starts_with(application_name, $1)
				AND substr(application_name, length($1) + 1) ~ '^[0-9]{1,18}$'
				AND CASE WHEN substr(application_name, length($1) + 1) ~ '^[0-9]{1,18}$' THEN substr(application_name, length($1) + 1)::bigint < $2 END
			OFFSET 0) work`, "job:"+o.Name+"#", below)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uint32])
}
