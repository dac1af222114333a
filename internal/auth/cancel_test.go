package auth

import (
	"bytes"
	"sync"
	"testing"
)

func newTable[V any](t testing.TB) *CancelTable[V] {
	t.Helper()
	table, err := NewCancelTable[V](nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCancelKeySizes(t *testing.T) {
	table := newTable[int](t)
	for size, good := range map[int]bool{-1: false, 0: false, 3: false, 4: true, 32: true, 256: true, 257: false, 1 << 30: false} {
		if _, _, err := table.Allocate(size, 1); (err == nil) != good {
			t.Errorf("Allocate of %d bytes: %v", size, err)
		}
		if _, _, err := table.Register(7, size, 1); (err == nil) != good {
			t.Errorf("Register of %d bytes: %v", size, err)
		}
		if size >= 0 && size < 1000 {
			if _, err := ParseCancelKey(make([]byte, size)); (err == nil) != good {
				t.Errorf("ParseCancelKey of %d bytes: %v", size, err)
			}
		}
	}
	if table.Len() != 6 {
		t.Errorf("%d entries", table.Len())
	}
	wire := []byte{1, 2, 3, 4}
	key, _ := ParseCancelKey(wire)
	wire[0] = 9
	if !key.Equal([]byte{1, 2, 3, 4}) {
		t.Error("the key shares the wire's memory")
	}
}

func TestCancelTable(t *testing.T) {
	table := newTable[string](t)
	ours, key, err := table.Allocate(CancelKeyV32, "ours")
	pid := ours.PID
	if err != nil || pid <= 0 {
		t.Fatal(pid, err)
	}
	ticket1, real1, err := table.Register(pid, MinCancelKey, "server 1") // the same id, by chance
	if err != nil {
		t.Fatal(err)
	}
	ticket2, real2, err := table.Register(pid, MinCancelKey, "server 2")
	if err != nil {
		t.Fatal(err)
	}
	tickets := map[string]Ticket{"ours": ours, "server 1": ticket1, "server 2": ticket2}
	all := map[string]CancelKey{"ours": key, "server 1": real1, "server 2": real2}
	check := func() {
		t.Helper()
		for want, k := range all {
			if got, ok := table.Find(pid, k); !ok || got != want {
				t.Errorf("found %q, %v, want %q", got, ok, want)
			}
		}
		if table.Len() != len(all) {
			t.Errorf("%d entries, want %d", table.Len(), len(all))
		}
	}
	check()
	for name, k := range map[string][]byte{"short": key[:31], "long": append(bytes.Clone(key), 0), "other": make([]byte, 32), "empty": nil} {
		if v, ok := table.Find(pid, k); ok {
			t.Errorf("a %s key finds %q", name, v)
		}
	}
	if _, ok := table.Find(pid+1, key); ok {
		t.Error("another id finds it")
	}
	for _, name := range []string{"server 1", "ours", "server 2"} { // middle, tail, head
		if !table.Remove(tickets[name]) || table.Remove(tickets[name]) {
			t.Errorf("%s was not removed once", name)
		}
		delete(all, name)
		check()
	}
	if len(table.live) != 0 {
		t.Error("an empty chain stays")
	}
}

func TestPIDsDoNotComeAgain(t *testing.T) {
	table := newTable[int](t)
	seen := make(map[int32]bool)
	for range 20000 {
		ticket, _, err := table.Allocate(MinCancelKey, 0)
		if err != nil {
			t.Fatal(err)
		}
		pid := ticket.PID
		if pid <= 0 || seen[pid] {
			t.Fatalf("process id %d, seen %v", pid, seen[pid])
		}
		seen[pid] = true
		table.Remove(ticket)
	}
}

// The permutation is one: distinct counters give distinct values, also at the ends.
func TestPIDPermutation(t *testing.T) {
	s := pidSequence{keys: [4]uint32{1, 2, 3, 4}, n: pidCount - 5}
	seen := make(map[int32]bool)
	for range 1 << 16 {
		pid := s.next()
		if pid <= 0 || seen[pid] {
			t.Fatalf("process id %d, seen %v", pid, seen[pid])
		}
		seen[pid] = true
	}
}

func TestAllocateSkipsLivePIDs(t *testing.T) {
	table := newTable[int](t)
	ahead := table.pids
	first, second := ahead.next(), ahead.next()
	if _, _, err := table.Register(first, 4, 0); err != nil {
		t.Fatal(err)
	}
	if got, _, err := table.Allocate(4, 0); err != nil || got.PID != second {
		t.Fatalf("got %d, %v, want %d", got.PID, err, second)
	}
}

func TestCancelTableConcurrent(t *testing.T) {
	table := newTable[int](t)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				ticket, key, err := table.Allocate(4, w*1000+i)
				if err != nil {
					t.Error(err)
					return
				}
				if v, ok := table.Find(ticket.PID, key); !ok || v != w*1000+i {
					t.Errorf("found %d, %v", v, ok)
				}
				table.Remove(ticket)
			}
		})
	}
	wg.Wait()
	if table.Len() != 0 {
		t.Errorf("%d entries left", table.Len())
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	table := newTable[int](t)
	ticket, key, err := table.Allocate(32, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { table.Find(ticket.PID, key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
