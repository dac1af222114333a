package notify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

// endpoint is one that the test decides for: what it was sent, in order, and
// what it answers to each.
type endpoint struct {
	mu     sync.Mutex
	came   []string
	answer func(ctx context.Context, a alarm.Alarm) error // nil takes everything
}

func (e *endpoint) Send(ctx context.Context, a alarm.Alarm) error {
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, a); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.came = append(e.came, fmt.Sprintf("%s %s %s", a.Key, a.Status, a.Level))
	return nil
}

func (e *endpoint) set(answer func(ctx context.Context, a alarm.Alarm) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) got() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.came)
}

// hang answers when the request's time is over, as an endpoint that does not
// answer at all looks to a sender.
func hang(ctx context.Context, _ alarm.Alarm) error {
	<-ctx.Done()
	return &send.Failure{Verdict: send.Again, Text: "did not answer in time"}
}

func fail(verdict send.Verdict, after time.Duration) func(context.Context, alarm.Alarm) error {
	return func(context.Context, alarm.Alarm) error {
		return &send.Failure{Verdict: verdict, Status: 500, After: after, Text: "answered 500"}
	}
}

func channel(name string, e Sender) Channel {
	return Channel{Name: name, Kind: "webhook", Levels: []alarm.Level{alarm.Warn, alarm.Page}, Timeout: 10 * time.Second,
		Endpoints: []Endpoint{{Host: name, Print: "1", Sender: e}}}
}

// office is a desk under test with what it reported.
type office struct {
	*Desk
	mu    sync.Mutex
	found []alarm.Alarm
}

func open(t *testing.T, store Store, channels ...Channel) *office {
	t.Helper()
	o := &office{}
	o.Desk = New(Config{Store: store, Found: func(a alarm.Alarm) {
		o.mu.Lock()
		o.found = append(o.found, a)
		o.mu.Unlock()
		o.Take(a) // as the node does
	}})
	o.Keep(channels)
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := o.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func (o *office) troubles() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for _, a := range o.found {
		all = append(all, fmt.Sprintf("%s %s %s", a.Key, a.Status, a.Level))
	}
	return all
}

func firing(key string, level alarm.Level) alarm.Alarm {
	return alarm.Alarm{Key: key, Status: alarm.Firing, Level: level, Summary: key, Since: time.Now(), At: time.Now()}
}

func resolved(key string) alarm.Alarm {
	a := firing(key, alarm.Warn)
	a.Status = alarm.Resolved
	return a
}

func want(t *testing.T, what string, got []string, wanted ...string) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, " | "), strings.Join(wanted, " | "))
	}
}

func TestToldOnceAndTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		for range 100 {
			o.Take(firing("leak", alarm.Warn))
			time.Sleep(time.Second)
		}
		o.Take(firing("leak", alarm.Page)) // worse: told again
		time.Sleep(time.Second)
		o.Take(firing("leak", alarm.Warn)) // better: not
		o.Take(resolved("leak"))
		o.Take(resolved("leak"))
		o.Take(resolved("never told"))
		synctest.Wait()
		want(t, "messages", e.got(), "leak firing warn", "leak firing page", "leak resolved warn")
	})
}

// TestHangingEndpoint: ten minutes without an answer cost nobody a wait, the
// other channel nothing, and afterwards all is told in order.
func TestHangingEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &endpoint{answer: hang}, &endpoint{}
		o := open(t, nil, channel("bad", bad), channel("good", good))
		defer o.close(t)
		began := time.Now()
		o.Take(firing("a", alarm.Page))
		o.Take(firing("b", alarm.Warn))
		o.Take(resolved("a"))
		if took := time.Since(began); took != 0 {
			t.Errorf("Take waited for %v", took)
		}
		synctest.Wait()
		want(t, "the good channel", good.got(), "a firing page", "b firing warn", "a resolved warn")
		time.Sleep(10 * time.Minute)
		want(t, "the bad channel meanwhile", bad.got())
		want(t, "troubles", o.troubles(), "notify/bad firing warn", "notify/bad firing page")
		if s := o.States()[0]; s.Channel != "bad" || s.Waiting != 3 || !s.Failing {
			t.Errorf("state %+v", s)
		}
		bad.set(nil)
		time.Sleep(3 * time.Minute)
		got := bad.got()
		if len(got) != 3 || slices.Index(got, "a firing page") > slices.Index(got, "a resolved warn") {
			t.Errorf("afterwards: %v", got)
		}
		want(t, "troubles afterwards", o.troubles(), "notify/bad firing warn", "notify/bad firing page", "notify/bad resolved page")
		// The good channel heard of the bad one's trouble, the bad one did not.
		if !slices.Contains(good.got(), "notify/bad firing warn") || slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "notify/") }) {
			t.Errorf("good %v, bad %v", good.got(), got)
		}
	})
}

// TestResolveNeverOvertakes: with an endpoint that fails at random, each key's
// messages arrive as firing, resolved, firing, resolved, whatever happens.
func TestResolveNeverOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		e := &endpoint{answer: func(ctx context.Context, a alarm.Alarm) error {
			calls++
			switch calls % 5 {
			case 1:
				return hang(ctx, a)
			case 2, 4:
				return &send.Failure{Verdict: send.Again, Text: "answered 503"}
			}
			return nil
		}}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		for round := range 200 {
			key := fmt.Sprint("key", round%7)
			if (round/7)%2 == 0 {
				o.Take(firing(key, alarm.Warn))
			} else {
				o.Take(resolved(key))
			}
			time.Sleep(time.Duration(round%13) * 500 * time.Millisecond)
		}
		for key := range 7 {
			o.Take(resolved(fmt.Sprint("key", key)))
		}
		time.Sleep(time.Hour)
		last := map[string]string{}
		for _, m := range e.got() {
			key, status, _ := strings.Cut(m, " ")
			status, _, _ = strings.Cut(status, " ")
			if strings.HasPrefix(key, "notify") {
				continue
			}
			// A message whose answer was lost may come twice, never out of order.
			if status == "resolved" && last[key] == "" {
				t.Fatalf("%s was resolved before it fired: %v", key, e.got())
			}
			last[key] = status
		}
		for key, status := range last {
			if status != "resolved" {
				t.Errorf("%s ends as %s", key, status)
			}
		}
		if len(last) != 7 {
			t.Errorf("keys told: %v", last)
		}
		if s := o.States()[0]; s.Waiting != 0 || s.Open != 0 {
			t.Errorf("left: %+v", s)
		}
	})
}

// TestFlapWhileAway: what came and went while the endpoint was away is told as
// it stands, in at most three messages.
func TestFlapWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: hang}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		for range 50 {
			o.Take(firing("leak", alarm.Warn))
			o.Take(resolved("leak"))
		}
		o.Take(firing("leak", alarm.Page))
		e.set(nil)
		time.Sleep(time.Hour)
		got := e.got()
		if len(got) == 0 || len(got) > 3 || got[len(got)-1] != "leak firing page" {
			t.Errorf("got %v", got)
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		e := &endpoint{}
		e.answer = func(context.Context, alarm.Alarm) error {
			at = append(at, time.Since(began))
			if len(at) == 1 {
				return &send.Failure{Verdict: send.Again, Status: 429, After: 90 * time.Second, Text: "answered 429"}
			}
			return nil
		}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		o.Take(firing("leak", alarm.Warn))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(at) != 2 || at[1] < 90*time.Second || at[1] > 100*time.Second {
			t.Errorf("attempts at %v", at)
		}
	})
}

func TestPausesGrowWithChance(t *testing.T) {
	for failures, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 20: longestPause, 1 << 30: longestPause} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := pause(failures, 0, false)
			if d < most/2 || d > most {
				t.Fatalf("after %d failures: %v", failures, d)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("after %d failures only %d different pauses of 100", failures, len(seen))
		}
	}
}

// TestRefusedOnce: what an endpoint refuses is not sent to it again and again,
// does not hold up others, and is a trouble until something is taken.
func TestRefusedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		e := &endpoint{answer: func(_ context.Context, a alarm.Alarm) error {
			if a.Key == "poison" {
				attempts++
				return &send.Failure{Verdict: send.Refused, Status: 400, Text: "answered 400"}
			}
			return nil
		}}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		for range 30 {
			o.Take(firing("poison", alarm.Warn))
			time.Sleep(time.Second)
		}
		want(t, "troubles", o.troubles(), "notify/chat firing warn")
		o.Take(resolved("poison"))
		o.Take(firing("leak", alarm.Warn))
		time.Sleep(time.Minute)
		want(t, "messages", e.got(), "leak firing warn")
		want(t, "troubles", o.troubles(), "notify/chat firing warn", "notify/chat resolved warn")
		synctest.Wait()
		if attempts != 1 {
			t.Errorf("%d attempts at what is refused", attempts)
		}
		if s := o.States()[0]; s.Open != 1 || s.Refused != 1 || s.Dropped != 1 {
			t.Errorf("state %+v", s)
		}
	})
}

// TestPoisonDoesNotBlock: one alarm that the endpoint fails at does not keep the
// others from it.
func TestPoisonDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(ctx context.Context, a alarm.Alarm) error {
			if a.Key == "poison" {
				return fail(send.Again, 0)(ctx, a)
			}
			return nil
		}}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		o.Take(firing("poison", alarm.Warn))
		time.Sleep(time.Minute)
		o.Take(firing("leak", alarm.Warn))
		time.Sleep(10 * time.Minute)
		want(t, "messages", e.got(), "leak firing warn")
		time.Sleep(48 * time.Hour)
		if s := o.States()[0]; s.Waiting != 0 || s.Dropped != 1 {
			t.Errorf("after two days: %+v", s)
		}
	})
}

// TestLockedWaitsForPeople: with a wrong key alarms are kept, and go out when
// the config has been mended.
func TestLockedWaitsForPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: fail(send.Locked, 0)}
		o := open(t, nil, channel("oncall", e))
		defer o.close(t)
		o.Take(firing("leak", alarm.Page))
		time.Sleep(time.Minute)
		want(t, "troubles", o.troubles(), "notify/oncall firing warn")
		e.set(nil)
		mended := channel("oncall", e)
		mended.Endpoints[0].Print = "2"
		o.Keep([]Channel{mended})
		synctest.Wait()
		want(t, "messages", e.got(), "leak firing page")
	})
}

func TestWhoIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pages, batch, foreign := &endpoint{}, &endpoint{}, &endpoint{}
		a, b, c := channel("pages", pages), channel("batch", batch), channel("foreign", foreign)
		a.Levels = []alarm.Level{alarm.Page}
		b.Workloads, b.Detectors = []string{"batch-*"}, []string{"leak"}
		c.Foreign = true
		o := open(t, nil, a, b, c)
		defer o.close(t)
		leak := firing("leak", alarm.Warn)
		leak.Workload, leak.Detector = "batch-7", "leak"
		o.Take(leak)
		o.Take(firing("lag", alarm.Page))
		synctest.Wait()
		other := firing("their alarm", alarm.Page)
		other.Foreign = true
		o.Take(other)
		leak.Level = alarm.Page
		o.Take(leak)
		gone := leak
		gone.Status, gone.Level, gone.Workload = alarm.Resolved, alarm.Warn, "" // who was told is told the end
		o.Take(gone)
		time.Sleep(time.Second)
		want(t, "pages", pages.got(), "lag firing page", "leak firing page", "leak resolved warn")
		want(t, "batch", batch.got(), "leak firing warn", "leak firing page", "leak resolved warn")
		if got := foreign.got(); !slices.Contains(got, "their alarm firing page") {
			t.Errorf("foreign got %v", got)
		}
	})
}

func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := channel("am", e)
		c.Repeat = time.Minute
		o := open(t, nil, c)
		defer o.close(t)
		o.Take(firing("leak", alarm.Warn))
		time.Sleep(10*time.Minute + time.Second)
		if n := len(e.got()); n != 11 {
			t.Errorf("told %d times in ten minutes", n)
		}
		o.Take(resolved("leak"))
		time.Sleep(10 * time.Minute)
		if got := e.got(); len(got) != 12 || got[11] != "leak resolved warn" {
			t.Errorf("then %v", got[11:])
		}
	})
}

// TestFullQueue: a page displaces a warning, a warning nothing.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: hang}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		for i := range mostKeys + 500 {
			o.Take(firing(fmt.Sprint("warn", i), alarm.Warn))
		}
		for i := range 10 {
			o.Take(firing(fmt.Sprint("page", i), alarm.Page))
		}
		s := o.States()[0]
		if s.Open != mostKeys || s.Dropped != 510 {
			t.Errorf("state %+v", s)
		}
		e.set(nil)
		time.Sleep(time.Hour)
		pages := 0
		for _, m := range e.got() {
			if strings.HasPrefix(m, "page") {
				pages++
			}
		}
		if pages != 10 {
			t.Errorf("%d pages of 10 were told", pages)
		}
	})
}

// TestSurvivesRestart: what was not sent is sent by the next process, what was
// told is not told again, and what nobody finds again is taken back.
func TestSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := File{filepath.Join(t.TempDir(), "notify.json")}
		e := &endpoint{}
		first := open(t, store, channel("chat", e))
		first.Take(firing("told", alarm.Warn))
		first.Take(firing("gone", alarm.Warn))
		time.Sleep(time.Second)
		e.set(hang)
		first.Take(firing("unsent", alarm.Page))
		first.Take(resolved("unsent"))
		synctest.Wait()
		first.close(t)

		e.set(nil)
		second := open(t, store, channel("chat", e))
		defer second.close(t)
		second.Take(firing("told", alarm.Warn))
		time.Sleep(time.Minute)
		want(t, "after the restart", e.got(), "told firing warn", "gone firing warn", "unsent firing page", "unsent resolved warn")
		time.Sleep(time.Hour)
		want(t, "an hour later", e.got()[4:], "gone resolved warn")
		if _, err := decodeState(mustLoad(t, store)); err != nil {
			t.Error(err)
		}
	})
}

// TestForeignAlarmsStay: another monitor does not repeat itself after a restart
// of ours; its alarm holds until it says otherwise.
func TestForeignAlarmsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := File{filepath.Join(t.TempDir(), "notify.json")}
		e := &endpoint{}
		c := channel("chat", e)
		c.Foreign = true
		first := open(t, store, c)
		theirs := firing("foreign/cw/cpu", alarm.Page)
		theirs.Foreign = true
		first.Take(theirs)
		time.Sleep(time.Second)
		first.close(t)
		second := open(t, store, c)
		defer second.close(t)
		time.Sleep(24 * time.Hour)
		want(t, "a day later", e.got(), "foreign/cw/cpu firing page")
		theirs.Status = alarm.Resolved
		second.Take(theirs)
		synctest.Wait()
		want(t, "then", e.got(), "foreign/cw/cpu firing page", "foreign/cw/cpu resolved page")
	})
}

func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{}
		c := channel("chat", e)
		c.Gap = time.Second
		o := open(t, nil, c)
		defer o.close(t)
		for i := range 30 {
			o.Take(firing(fmt.Sprint(i), alarm.Warn))
		}
		time.Sleep(10*time.Second + time.Millisecond)
		if n := len(e.got()); n != 11 {
			t.Errorf("%d messages in ten seconds", n)
		}
	})
}

// TestChannelGone: its lane ends, its trouble with it, and the others go on.
func TestChannelGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &endpoint{answer: fail(send.Locked, 0)}, &endpoint{}
		o := open(t, nil, channel("bad", bad), channel("good", good))
		defer o.close(t)
		o.Take(firing("a", alarm.Page))
		time.Sleep(time.Minute)
		o.Keep([]Channel{channel("good", good)})
		o.Take(resolved("a"))
		time.Sleep(time.Minute)
		want(t, "troubles", o.troubles(), "notify/bad firing warn", "notify/bad resolved warn")
		want(t, "good", good.got(), "a firing page", "notify/bad firing warn", "notify/bad resolved warn", "a resolved warn")
		if s := o.States(); len(s) != 1 {
			t.Errorf("states %+v", s)
		}
	})
}

func mustLoad(t *testing.T, s Store) []byte {
	t.Helper()
	text, err := s.Load()
	if err != nil || len(text) == 0 {
		t.Fatalf("kept %d bytes, %v", len(text), err)
	}
	return text
}

func TestBrokenStores(t *testing.T) {
	for name, text := range map[string]string{"not JSON": "{", "other version": `{"version":9}`, "other shape": `{"version":1,"lanes":[]}`} {
		t.Run(name, func(t *testing.T) {
			store := File{filepath.Join(t.TempDir(), "notify.json")}
			if err := store.Save([]byte(text)); err != nil {
				t.Fatal(err)
			}
			o := open(t, store, channel("chat", &endpoint{}))
			o.close(t)
			if bad, err := (File{store.Path + ".bad"}).Load(); err != nil || string(bad) != text {
				t.Errorf("set aside: %q, %v", bad, err)
			}
		})
	}
}

// fullDisk is a Store that fails, or hangs, when told to.
type fullDisk struct {
	mu   sync.Mutex
	save func() error
}

func (*fullDisk) Load() ([]byte, error) { return nil, nil }
func (d *fullDisk) Save([]byte) error {
	d.mu.Lock()
	save := d.save
	d.mu.Unlock()
	return save()
}

// TestFullDisk: alarms go out all the same, and the disk is a trouble.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &fullDisk{save: func() error { return errors.New("no space left on device") }}
		e := &endpoint{}
		o := open(t, disk, channel("chat", e))
		o.Take(firing("leak", alarm.Warn))
		time.Sleep(time.Second)
		want(t, "messages", e.got(), "leak firing warn", "notify-queue firing warn")
		disk.mu.Lock()
		disk.save = func() error { return nil }
		disk.mu.Unlock()
		o.Take(resolved("leak"))
		time.Sleep(time.Second)
		want(t, "then", e.got()[2:], "leak resolved warn", "notify-queue resolved warn")
		o.close(t)
	})
}

func TestHangingDiskHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		disk := &fullDisk{save: func() error { <-release; return nil }}
		e := &endpoint{}
		o := open(t, disk, channel("chat", e))
		began := time.Now()
		o.Take(firing("leak", alarm.Warn))
		synctest.Wait()
		o.Take(resolved("leak"))
		synctest.Wait()
		want(t, "messages", e.got(), "leak firing warn", "leak resolved warn")
		if time.Since(began) != 0 {
			t.Error("the disk was waited for")
		}
		close(release)
		o.close(t)
	})
}

func TestTestPastTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: hang}
		o := open(t, nil, channel("chat", e))
		defer o.close(t)
		if tried, err := o.Test(t.Context(), "chat"); err != nil || len(tried) != 1 || tried[0].Error == "" || tried[0].Took != 10*time.Second {
			t.Errorf("hanging: %+v, %v", tried, err)
		}
		e.set(nil)
		if tried, err := o.Test(t.Context(), "chat"); err != nil || tried[0].Error != "" {
			t.Errorf("well: %+v, %v", tried, err)
		}
		if _, err := o.Test(t.Context(), "none"); !errors.Is(err, ErrNoChannel) {
			t.Errorf("none: %v", err)
		}
	})
}

func TestStartStop(t *testing.T) {
	o := open(t, nil)
	if err := o.Start(); err == nil {
		t.Error("started twice")
	}
	o.close(t)
	o.close(t)
	o.Take(firing("late", alarm.Page))
	o.Keep([]Channel{channel("late", &endpoint{})})
	never := New(Config{})
	if err := never.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
