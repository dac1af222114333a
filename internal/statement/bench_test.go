package statement

import (
	"strings"
	"testing"
)

// ormQuery is a query of about 2 KB, as an object-relational mapper writes it.
var ormQuery = `SELECT "shop_order"."id", "shop_order"."created_at", ` + strings.Repeat(`"shop_order"."customer_reference_id", "shop_customer"."display_name", `, 22) +
	`COUNT("shop_item"."id") AS "items" FROM "shop_order" INNER JOIN "shop_customer" ON ("shop_order"."customer_id" = "shop_customer"."id") ` +
	`LEFT OUTER JOIN "shop_item" ON ("shop_item"."order_id" = "shop_order"."id") WHERE ("shop_order"."state" IN ('paid', 'shipped') AND ` +
	`"shop_order"."created_at" >= '2024-01-01T00:00:00+00:00'::timestamptz) GROUP BY "shop_order"."id" ORDER BY "shop_order"."created_at" DESC LIMIT 21`

var benchTexts = []struct{ name, text string }{
	{"select", "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;"},
	{"update", "UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 87654;"},
	{"insert", "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 87654, -4321, CURRENT_TIMESTAMP);"},
	{"begin", "BEGIN;"},
	{"call", "SELECT id, name, lower(email), coalesce(count(*), 0) FROM users WHERE created_at > now() - interval '1 day' GROUP BY id"},
	{"orm2k", ormQuery},
}

func BenchmarkScan(b *testing.B) {
	for _, bench := range benchTexts {
		b.Run(bench.name, func(b *testing.B) {
			text := []byte(bench.text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Scan(text, true)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(text)), "ns/byte")
		})
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	for _, bench := range benchTexts {
		text := []byte(bench.text)
		if n := testing.AllocsPerRun(100, func() { Scan(text, true) }); n != 0 {
			t.Errorf("Scan(%s) allocates %v times", bench.name, n)
		}
	}
	var s Scanner
	if n := testing.AllocsPerRun(100, func() {
		s.Reset(true)
		for i := range len(ormQuery) {
			c := [1]byte{ormQuery[i]}
			s.Feed(c[:])
		}
		s.Finish()
	}); n != 0 {
		t.Errorf("Feed allocates %v times", n)
	}
}
