package statement

import (
	"strings"
	"testing"
)

// TestPrint: literals, space, case and comments do not count; a zero at the end
// and what lies beyond MaxPrint do not either.
func TestPrint(t *testing.T) {
	one := Print([]byte("SELECT n FROM item WHERE id = 7"))
	for _, same := range []string{"select n from item where id = 12345", "SELECT  n\nFROM item WHERE id=8 -- why\n", "/*job='x'*/ SELECT n FROM item WHERE id = 9\x00"} {
		if Print([]byte(same)) != one {
			t.Errorf("%q has another fingerprint", same)
		}
	}
	for _, other := range []string{"SELECT n FROM item WHERE idx = 7", "SELECT n FROM items WHERE id = 7", "DELETE FROM item WHERE id = 7"} {
		if Print([]byte(other)) == one {
			t.Errorf("%q has the same fingerprint", other)
		}
	}
	long := "SELECT " + strings.Repeat("a, ", MaxPrint) + "b"
	if Print([]byte(long)) != Print([]byte(long[:MaxPrint])) {
		t.Error("what lies beyond MaxPrint counts")
	}
}

func TestPrintAllocatesLittle(t *testing.T) {
	text := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 4711\x00")
	if n := testing.AllocsPerRun(100, func() { Print(text) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPrint(b *testing.B) {
	for name, text := range map[string][]byte{
		"short": []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 4711\x00"),
		"4KiB":  []byte("SELECT * FROM item WHERE id IN (" + strings.Repeat("123456, ", 600) + "1)\x00"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Print(text)
			}
		})
	}
}
