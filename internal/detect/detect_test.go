package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"spillway/internal/sample"
)

func TestQuietWorldIsHealthy(t *testing.T) {
	w := newWorld(t, 85)
	if told := w.run(10 * time.Minute); len(told) != 0 {
		t.Errorf("told %v", told)
	}
	v := w.engine.Judge(w.engine.Open(), nil)
	if v.Level != None || !strings.Contains(v.Sentence, "us-east-1 OK 0/85 · nothing found") {
		t.Errorf("verdict %q", v.Sentence)
	}
}

// TestLeakIsNamed is report 001: a worker opens a transaction per item.
func TestLeakIsNamed(t *testing.T) {
	w := newWorld(t, 85)
	w.run(time.Minute)
	start := w.at
	for len(w.holders) < 40 && w.at.Sub(start) < 2*time.Minute {
		w.hold("data-sync", "celery", sample.Idles)
		w.run(3 * time.Second)
		if len(w.open()) > 0 {
			break
		}
	}
	took := w.at.Sub(start)
	t.Logf("named after %s with %d servers held", took, len(w.holders))
	if took > time.Minute {
		t.Errorf("took %s", took)
	}
	w.want("a leak", "leak/main/data-sync/celery "+w.engine.Open()[0].Level.String())
	v := w.engine.Judge(w.engine.Open(), []Change{{w.at.Add(-2 * time.Minute), "job data-sync deployed"}})
	for _, part := range []string{"celery (workload data-sync, owner @data)", "select * from item", "ruled out: database main is up", "changed 2", "job data-sync deployed"} {
		if !strings.Contains(v.Sentence, part) {
			t.Errorf("the verdict does not say %q: %s", part, v.Sentence)
		}
	}
	w.holders = nil
	w.run(20 * time.Second)
	w.want("the leak is gone")
	if last := w.told[len(w.told)-1]; !last.Cleared || last.Key != "leak/main/data-sync/celery" {
		t.Errorf("last told %+v", last)
	}
}

func TestFewIdleTransactionsAreNoLeak(t *testing.T) {
	w := newWorld(t, 85)
	w.hold("", "psql", sample.Idles)
	w.hold("", "psql", sample.Idles)
	w.run(4 * time.Minute)
	w.want("two people think")
	w.run(2 * time.Minute)
	w.want("for long", "long-transaction/main//psql warn")
}

// TestBusyServiceIsNoLeak: transactions that idle for a moment, of a service
// that always has some.
func TestBusyServiceIsNoLeak(t *testing.T) {
	w := newWorld(t, 85)
	random := rand.New(rand.NewPCG(1, 2))
	for range 600 {
		w.holders = w.holders[:0]
		for i := range 20 + random.IntN(20) {
			h := w.hold("api", "web", sample.Idles)
			h.PID, h.IdleAt = 1000+i, w.at.Add(-time.Duration(random.IntN(4000))*time.Millisecond)
		}
		w.run(time.Second)
	}
	w.want("a busy service")
}

func TestReclaimedLeakIsTold(t *testing.T) {
	w := newWorld(t, 85)
	w.change = func(f *sample.Frame) {
		f.Proxy.Leaks = []sample.Leak{{Host: "main", Workload: "data-sync", Application: "celery", Addr: "10.0.0.1", User: "worker", Marked: 7, FirstAt: began.Add(-time.Minute), LastAt: began, OnLeak: "reclaim", SQL: "select 1"}}
	}
	w.run(30 * time.Second)
	w.want("servers are taken back", "leak/main/data-sync/celery warn")
	w.run(time.Minute)
	w.want("no more since")
}

// TestStormIsNamed is report 000: the same clean-up query over and over.
func TestStormIsNamed(t *testing.T) {
	w := newWorld(t, 500)
	for range 25 {
		w.hold("cron", "session-cleanup", sample.Runs)
	}
	took := w.until("storm/main/0000000000000abc", 10*time.Second)
	t.Logf("named after %s", took)
	w.want("a storm", "storm/main/0000000000000abc warn")
	if f := w.engine.Open()[0]; f.Fingerprint != "0000000000000abc" {
		t.Errorf("fingerprint %q", f.Fingerprint)
	}
	w.holders = w.holders[:5]
	w.run(20 * time.Second)
	w.want("the storm has passed")
}

// TestFastStatementIsNoStorm: many slots run the same statement at each look,
// never for long.
func TestFastStatementIsNoStorm(t *testing.T) {
	w := newWorld(t, 40)
	for range 120 {
		for i := range w.holders {
			w.holders[i].QueryAt = w.at.Add(time.Second - 3*time.Millisecond)
			w.holders[i].TransactionAt = w.holders[i].QueryAt
		}
		for len(w.holders) < 30 {
			w.hold("api", "web", sample.Runs)
		}
		w.run(time.Second)
	}
	w.want("traffic")
}

func TestRampIsForetold(t *testing.T) {
	w := newWorld(t, 85)
	w.run(10 * time.Minute)
	w.host.Busy = 0
	start := w.at
	var paged time.Time
	full := time.Time{}
	for full.IsZero() {
		w.host.Busy = int(w.at.Sub(start).Seconds() * 85 / (12 * 60)) // 0 to 85 in 12 min, as in report 001
		for _, f := range w.run(time.Second) {
			if f.Detector == "slots-forecast" && f.Level == Page && paged.IsZero() {
				paged = w.at
			}
		}
		if w.host.Busy >= 85 {
			full = w.at
		}
	}
	if paged.IsZero() || full.Sub(paged) < 2*time.Minute {
		t.Fatalf("paged at %s, full at %s", paged, full)
	}
	t.Logf("foretold %s before", full.Sub(paged))
}

// TestSawtooth replays seven days of load that rises and falls: at most one
// page, as nothing of it needs anybody.
func TestSawtooth(t *testing.T) {
	w := newWorld(t, 100)
	random := rand.New(rand.NewPCG(7, 7))
	pages, warns := 0, 0
	top := 85.0
	const tooth = 10 * time.Minute
	for at := time.Duration(0); at < 7*24*time.Hour; at += 2 * time.Second {
		if at%tooth == 0 {
			day := 0.75 + 0.25*float64((at/time.Hour)%24)/24
			top = day * (80 + 8*random.Float64())
		}
		ratio := float64(at%tooth) / float64(tooth)
		w.host.Busy = int(20 + (top-20)*ratio + random.Float64()*3)
		w.host.Waiting, w.host.OldestWait = 0, 0
		if w.host.Busy > 80 {
			w.host.Waiting, w.host.OldestWait = random.IntN(5), time.Duration(random.IntN(300))*time.Millisecond
		}
		w.at = w.at.Add(2 * time.Second)
		for _, f := range w.engine.Look(w.frame()) {
			switch {
			case f.Cleared:
			case f.Level == Page:
				pages++
				t.Logf("%s: page %s", at, f.Summary)
			default:
				warns++
			}
		}
	}
	t.Logf("%d pages, %d warnings told", pages, warns)
	if pages > 1 {
		t.Errorf("%d pages", pages)
	}
}

func TestFullHostPages(t *testing.T) {
	w := newWorld(t, 20)
	for range 20 {
		w.hold("data-sync", "celery", sample.Runs)
		w.holders[len(w.holders)-1].Fingerprint = uint64(len(w.holders)) // no storm
	}
	w.run(30 * time.Second)
	w.want("busy, nobody waits")
	since := w.at
	w.change = func(f *sample.Frame) {
		f.Proxy.Hosts[0].Waiting, f.Proxy.Hosts[0].OldestWait = 12, f.At.Sub(since)
	}
	w.run(40 * time.Second)
	w.want("they wait", "slots/main page", "queue-wait/main page")
	v := w.engine.Judge(w.engine.Open(), nil)
	if !strings.Contains(v.Sentence, "us-east-1 FULL 20/20 for 69 s · 12 waiting, oldest 40 s · 100 % held by celery (workload data-sync, owner @data)") {
		t.Errorf("verdict %q", v.Sentence)
	}
	w.change, w.holders = nil, nil
	w.run(2 * time.Minute)
	w.want("over")
}

func TestBlockedTable(t *testing.T) {
	w := newWorld(t, 85)
	root := w.hold("data-sync", "migrate", sample.Idles)
	root.SQL = "lock table item"
	pid, start := root.PID, w.at
	waiters := []int{}
	for range 6 {
		waiters = append(waiters, w.hold("api", "web", sample.Runs).PID)
	}
	w.change = func(f *sample.Frame) {
		a := &sample.Activity{At: f.At}
		a.Blockers = []sample.Backend{{PID: pid, User: "u", Application: "migrate", Kind: "client backend", State: "idle in transaction", TransactionAt: start, StateAt: start, SQL: "lock table item"}}
		for i, one := range waiters {
			b := sample.Backend{PID: one, Application: "web", State: "active", QueryAt: start, BlockedBy: []int{pid}, Lock: "AccessShareLock on item", SQL: "select ?"}
			if i > 0 {
				b.BlockedBy = []int{waiters[i-1], pid} // a queue behind the root
			}
			a.Blocked = append(a.Blocked, b)
		}
		f.Postgres["main"] = &sample.Postgres{Activity: a}
	}
	took := w.until("blocking/main/data-sync/migrate", 10*time.Second)
	t.Logf("named after %s", took)
	w.run(20 * time.Second)
	w.want("a blocked table", "blocking/main/data-sync/migrate warn")
	f := w.engine.Open()[0]
	if !strings.Contains(f.Summary, "migrate (workload data-sync, owner @data)") || !strings.Contains(f.Summary, "6 others wait") || !strings.Contains(f.Summary, "lock table item") {
		t.Errorf("summary %q", f.Summary)
	}
	w.run(10 * time.Minute)
	w.want("nothing else comes of it", "blocking/main/data-sync/migrate page")
	w.change, w.holders = nil, nil
	w.run(20 * time.Second)
	w.want("released")
}

func TestDetectors(t *testing.T) {
	pool := func(age time.Duration, text string) func(f *sample.Frame) {
		return func(f *sample.Frame) {
			f.Proxy.Pools = []sample.Pool{
				{Host: "main", Database: "app", User: "api", LoginError: text, LoginErrorAt: f.At.Add(-age)},
				{Host: "main", Database: "other", User: "api", LoginError: text, LoginErrorAt: f.At.Add(-age)},
			}
		}
	}
	postgres := func(p sample.Postgres) func(f *sample.Frame) {
		return func(f *sample.Frame) { f.Postgres["main"] = &p }
	}
	for _, one := range []struct {
		name string
		bad  func(f *sample.Frame)
		want string
	}{
		{"a login that fails", pool(time.Second, "password authentication failed"), "login/main/api warn"},
		{"a login that failed long ago", pool(5*time.Minute, "password authentication failed"), ""},
		{"a server that is away", func(f *sample.Frame) {
			pool(0, "connection refused")(f)
			f.Proxy.Hosts[0].Down, f.Proxy.Hosts[0].DownReason = true, "network"
			f.Probes = []sample.Probe{{Name: "postgres main", Server: "main", Tried: f.At, Error: "connection refused", Failed: 9}}
		}, "server/main page"},
		{"drift", func(f *sample.Frame) { f.Proxy.Hosts[0].Missing = 2 }, "ledger/main warn"},
		{"the fuse", func(f *sample.Frame) { f.Proxy.Hosts[0].Fused = uint64(f.At.Sub(began) / time.Second) }, "ledger/main page"},
		{"a probe", func(f *sample.Frame) {
			f.Probes = []sample.Probe{{Name: "activity", Server: "main", Tried: f.At, Error: "timeout"}, {Name: "tables", Server: "main", Tried: f.At, Error: "timeout"}}
		}, "probe/main warn"},
		{"one target of three", targets(true, true, false), "target/web warn"},
		{"two targets of three", targets(false, true, false), "target/web page"},
		{"a replica 12 s behind", postgres(sample.Postgres{Replicas: &sample.Replication{Replicas: []sample.Replica{{Application: "r1", State: "streaming", Lag: 12 * time.Second}}}}), "replica-lag/main/r1 warn"},
		{"a replica 120 s behind, as in report 000", postgres(sample.Postgres{Replicas: &sample.Replication{Replica: true, Behind: 2 * time.Minute}}), "replica-lag/main page"},
		{"a workload that waits", func(f *sample.Frame) {
			f.Proxy.Workloads[0].Waiting, f.Proxy.Workloads[0].OldestWait = 3, 2*time.Second
			f.Proxy.Hosts[0].Waiting, f.Proxy.Hosts[0].OldestWait = 3, 2*time.Second
		}, "queue-wait/main/api warn"},
		{"a batch workload that waits for long", func(f *sample.Frame) {
			f.Proxy.Workloads[1].Waiting, f.Proxy.Workloads[1].OldestWait = 3, time.Minute
		}, "queue-wait/main/data-sync warn"},
		{"a paused workload that waits", func(f *sample.Frame) {
			f.Proxy.Workloads[1].Waiting, f.Proxy.Workloads[1].OldestWait, f.Proxy.Workloads[1].Pause = 3, time.Minute, "queue"
		}, ""},
		{"a long statement", func(f *sample.Frame) {
			f.Proxy.Holders = []sample.Holder{{PID: 7, Host: "main", Workload: "api", Application: "web", State: sample.Runs, QueryAt: f.At.Add(-40 * time.Second), CheckedOutAt: began}}
		}, "long-statement/main/api/web warn"},
		{"the same of a batch", func(f *sample.Frame) {
			f.Proxy.Holders = []sample.Holder{{PID: 7, Host: "main", Workload: "data-sync", Application: "celery", State: sample.Runs, QueryAt: f.At.Add(-40 * time.Second), CheckedOutAt: began}}
		}, ""},
		{"a foreign one", postgres(sample.Postgres{Activity: &sample.Activity{Long: []sample.Backend{{PID: 9, Application: "psql", Kind: "client backend", State: "active", QueryAt: began.Add(-time.Hour), TransactionAt: began.Add(-time.Hour)}}}}), "long-transaction/main//psql warn"},
		{"a dump", postgres(sample.Postgres{Activity: &sample.Activity{Long: []sample.Backend{{PID: 9, Application: "pg_dump", Kind: "client backend", State: "active", QueryAt: began.Add(-time.Hour), TransactionAt: began.Add(-time.Hour)}}}}), ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			w := newWorld(t, 85)
			w.run(10 * time.Second)
			w.change = one.bad
			w.run(40 * time.Second)
			if one.want == "" {
				w.want("")
				return
			}
			w.want("while it lasts", one.want)
			f := w.engine.Open()[0]
			if f.Runbook == "" || f.Summary == "" || len(f.Evidence) == 0 {
				t.Errorf("not complete: %+v", f)
			}
			t.Log(f.Summary)
			w.change = nil
			w.run(3 * time.Minute)
			w.want("after it")
			raised := 0
			for _, f := range w.told {
				if f.Cleared {
					raised++
				}
			}
			if raised != 1 {
				t.Errorf("cleared %d times", raised)
			}
		})
	}
}

func targets(up ...bool) func(f *sample.Frame) {
	return func(f *sample.Frame) {
		for i, u := range up {
			one := sample.Target{Name: fmt.Sprintf("web-%d", i), Group: "web", Address: "http://x", Up: u, At: f.At, Since: began}
			if !u {
				one.Failed, one.Error = 5, "answers 503"
			}
			f.Targets = append(f.Targets, one)
		}
	}
}

// TestFlappingIsOneFinding: what comes and goes within the clearing time stays
// one finding and is not told over and over.
func TestFlappingIsOneFinding(t *testing.T) {
	w := newWorld(t, 85)
	n := 0
	w.change = func(f *sample.Frame) {
		if n++; n%7 < 4 {
			f.Proxy.Pools = []sample.Pool{{Host: "main", User: "api", LoginError: "no", LoginErrorAt: f.At}}
		}
	}
	w.run(10 * time.Minute)
	if len(w.told) != 1 {
		t.Errorf("told %d times", len(w.told))
	}
}

func TestBurn(t *testing.T) {
	w := newWorld(t, 85)
	var all, bad uint64
	rate := uint64(0)
	w.change = func(f *sample.Frame) {
		all, bad = all+100, bad+rate
		f.Proxy.Workloads[0].Count = sample.Count{Transactions: all - bad, Failed: bad}
	}
	w.run(time.Hour)
	w.want("all is good")
	rate = 3 // 3 % bad: 30 times the budget
	took := w.until("slo-burn/all", time.Hour)
	t.Logf("3 %% of errors found after %s", took)
	w.run(10 * time.Second)
	rate = 0
	w.run(10 * time.Minute)
	w.want("the short window has recovered")
	b := w.engine.Budgets()[0]
	want := b.Bad / (b.All * 0.001) * b.Seen.Hours() / 720
	if b.Bad == 0 || b.Used < want*0.999 || b.Used > want*1.001 {
		t.Errorf("budget %+v, want %v used", b, want)
	}
}
