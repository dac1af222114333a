package brake

import (
	"context"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// lookSQL reads, in one row, what may change at any moment. Sessions of sweeps
// and probes (application_name spillway…) are nobody's foreground.
const lookSQL = `
WITH others AS MATERIALIZED (
	SELECT pid, state, state_change, wait_event_type, xact_start, backend_xmin, backend_type
	FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND pid <> ALL($2) AND coalesce(application_name, '') NOT LIKE 'spillway%'
), locks AS MATERIALIZED (
	SELECT pid, mode, granted FROM pg_locks WHERE locktype = 'relation' AND relation = ANY($1) AND pid IN (SELECT pid FROM others)
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), oldest AS (
	SELECT pid, extract(epoch FROM clock_timestamp() - xact_start) AS age FROM others
	WHERE backend_xmin IS NOT NULL AND xact_start IS NOT NULL AND backend_type NOT IN ('autovacuum worker', 'walsender') ORDER BY xact_start LIMIT 1
), keeper AS (
	SELECT pid, mode FROM locks WHERE granted AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') LIMIT 1
), vacuums AS (
	SELECT bool_or(a.query LIKE '%to prevent wraparound%') AS wraparound FROM pg_stat_progress_vacuum v LEFT JOIN pg_stat_activity a USING (pid)
	WHERE v.relid = ANY($1) AND v.datname = current_database() AND v.pid <> pg_backend_pid() AND v.pid <> ALL($2) HAVING count(*) > 0
)
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
	(SELECT count(*) FROM others WHERE backend_type = 'client backend' AND (state = 'active' OR state_change > clock_timestamp() - interval '1 s'))::int,
	(SELECT count(*) FROM others WHERE backend_type = 'client backend')::int,
	current_setting('max_connections')::int,
	(SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()),
	coalesce((SELECT age FROM oldest), 0)::float8, coalesce((SELECT pid FROM oldest), 0),
	coalesce((SELECT pid FROM keeper), 0), coalesce((SELECT mode FROM keeper), ''),
	(SELECT count(*) FROM locks WHERE NOT granted AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))::int,
	(SELECT count(*) FROM (SELECT pid FROM others WHERE wait_event_type = 'Lock' LIMIT 20) o WHERE $2 && pg_blocking_pids(o.pid))::int,
	(SELECT count(*) FROM others WHERE wait_event_type = 'Lock')::int,
	EXISTS (SELECT 1 FROM vacuums), coalesce((SELECT wraparound FROM vacuums), false)`

func (f *Facts) read(ctx context.Context, conn *pgx.Conn, tables []uint32, workers []int32) error {
	var oldest float64
	batch := new(pgx.Batch)
	batch.Queue(lookSQL, tables, workers).QueryRow(func(row pgx.Row) error {
		return row.Scan(&f.WAL, &f.Busy, &f.Connections, &f.MaxSessions, &f.Commits, &oldest, &f.OldestPID, &f.LockedBy, &f.LockMode,
			&f.Queueing, &f.Behind, &f.LockWaits, &f.Vacuuming, &f.ToPrevent)
	})
	batch.Queue(`SELECT coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid), coalesce(pg_wal_lsn_diff(replay_lsn, '0/0'), 0)::bigint
		FROM pg_stat_replication WHERE state IN ('streaming', 'catchup') AND replay_lsn IS NOT NULL`).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Replica])
		f.Replicas = list
		return err
	})
	err := conn.SendBatch(ctx, batch).Close()
	f.OldestXmin = time.Duration(oldest * float64(time.Second))
	return err
}

// slowEvery is how often the dearer facts are read.
const slowEvery = 2 * time.Second

// slowFacts are read seldom and told with every look.
type slowFacts struct {
	at       time.Time
	rights   bool // to list the archive's folder
	sees     bool // other sessions
	asked    bool
	archives bool
	waiting  int
	slots    []Slot
	folder   string // the data folder, "" when it is not on this machine
	free     float64
}

func (s *slowFacts) read(ctx context.Context, conn *pgx.Conn, f *Facts) error {
	if f.At.Sub(s.at) >= slowEvery {
		if err := s.refresh(ctx, conn); err != nil {
			return err
		}
		s.at = f.At
	}
	if !s.sees {
		f.Busy = max(f.Busy, 1) // who cannot see the others takes them to be there
	}
	f.Archives, f.Unarchived, f.Slots = s.archives, s.waiting, s.slots
	f.DiskKnown, f.DiskFree = s.folder != "", s.free
	return nil
}

func (s *slowFacts) refresh(ctx context.Context, conn *pgx.Conn) error {
	if !s.asked {
		if err := s.ask(ctx, conn); err != nil {
			return err
		}
	}
	rows, err := conn.Query(ctx, `
		SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::bigint
		FROM pg_replication_slots WHERE restart_lsn IS NOT NULL`)
	if err != nil {
		return err
	}
	if s.slots, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Slot]); err != nil {
		return err
	}
	if s.archives && s.rights {
		if err := conn.QueryRow(ctx, `SELECT count(*)::int FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`).Scan(&s.waiting); err != nil {
			return err
		}
	}
	var fs unix.Statfs_t
	if s.folder != "" && unix.Statfs(s.folder, &fs) == nil && fs.Blocks > 0 {
		s.free = float64(fs.Bavail) / float64(fs.Blocks)
	} else {
		s.folder = ""
	}
	return nil
}

// ask finds out once what can be read at all.
func (s *slowFacts) ask(ctx context.Context, conn *pgx.Conn) error {
	var folder string
	err := conn.QueryRow(ctx, `
		SELECT current_setting('archive_mode') <> 'off', has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE'),
		       CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'usage') THEN current_setting('data_directory') ELSE '' END,
		       pg_has_role(current_user, 'pg_read_all_stats', 'usage')`).
		Scan(&s.archives, &s.rights, &folder, &s.sees)
	if err != nil {
		return err
	}
	s.asked = true
	if nearby(conn) {
		s.folder = folder
	}
	return nil
}

// nearby says whether the server's disks are this machine's.
func nearby(conn *pgx.Conn) bool {
	address := conn.PgConn().Conn().RemoteAddr()
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.IP.IsLoopback()
	}
	return address != nil && address.Network() == "unix"
}
