package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

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
