package notify

import (
	"context"
	"slices"
	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
