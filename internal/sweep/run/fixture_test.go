package run

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"spillway/internal/pgtest"
	"spillway/internal/sweep/plan"
	"spillway/internal/sweep/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doomed is the condition of most tests.
const doomed = "expires_at < now()"

// seed makes the report's table: sessions, of which doomed percent have expired,
// in an order that has nothing to do with when.
func seed(t testing.TB, s *pgtest.Server, rows, percent int) {
	t.Helper()
	s.Exec(t, fmt.Sprintf(`
		DROP TABLE IF EXISTS sessions;
		CREATE TABLE sessions (id bigint PRIMARY KEY, user_id int NOT NULL, token text NOT NULL, expires_at timestamptz NOT NULL);
		INSERT INTO sessions SELECT i, i %% 1000, md5(i::text), now() + CASE WHEN (hashint4(i) & 2147483647) %% 100 < %d THEN - interval '1 s' * (1 + (hashint4(i + 7) & 1048575)) ELSE interval '1 day' END
		FROM generate_series(1, %d) i;
		CREATE INDEX ON sessions (expires_at); CREATE INDEX ON sessions (user_id);
		ANALYZE sessions`, percent, rows))
}

func dialer(url string) Dial {
	return func(ctx context.Context) (*pgx.Conn, error) {
		c, err := target.Parse(url)
		if err != nil {
			return nil, err
		}
		return target.Connect(ctx, c, "test")
	}
}

// begin plans and writes down a sweep; it returns how to run it.
func begin(t testing.TB, s *pgtest.Server, o plan.Order, options Options) (Config, int64) {
	t.Helper()
	c, id, err := tryBegin(t.Context(), s.URL(pgtest.Login{}), o, options)
	if err != nil {
		t.Fatal(err)
	}
	c.Log = nil
	return c, id
}

func tryBegin(ctx context.Context, url string, o plan.Order, options Options) (Config, int64, error) {
	c := Config{Dial: dialer(url), Holder: "test", Patience: time.Minute}
	conn, err := c.Dial(ctx)
	if err != nil {
		return c, 0, err
	}
	defer target.Close(conn)
	p, err := plan.Make(ctx, conn, o)
	if err != nil {
		return c, 0, err
	}
	id, err := Begin(ctx, conn, p, "", options)
	return c, id, err
}

// survivors is a checksum of every row that is left.
func survivors(t testing.TB, s *pgtest.Server, where string) string {
	t.Helper()
	return s.Value(t, "SELECT count(*) || '/' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM sessions t WHERE "+where)
}
