package probe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"spillway/internal/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestProbesAreIsolated: one that hangs and one that fails hold up no other,
// and what they had seen is withdrawn.
func TestProbesAreIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good, bad Slot[int]
		var runs atomic.Int64
		var fail atomic.Bool
		r := NewRunner([]Probe{
			{Name: "good", Every: time.Second, Timeout: time.Second, Run: func(context.Context) error {
				n := int(runs.Add(1))
				good.Set(&n)
				return nil
			}},
			{Name: "bad", Server: "main", Every: time.Second, Timeout: time.Second, Withdraw: bad.Withdraw, Run: func(context.Context) error {
				if fail.Load() {
					return errors.New("no")
				}
				n := 1
				bad.Set(&n)
				return nil
			}},
			{Name: "hangs", Every: time.Second, Timeout: 2 * time.Second, Run: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}},
		})
		r.Start()
		defer r.Stop()
		time.Sleep(10500 * time.Millisecond)
		synctest.Wait()
		if n := runs.Load(); n < 10 || n > 11 {
			t.Errorf("%d runs in 10 s", n)
		}
		if bad.Get(time.Now(), Stale(time.Second, time.Second)) == nil {
			t.Error("no value while it worked")
		}
		fail.Store(true)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if bad.Get(time.Now(), time.Hour) != nil {
			t.Error("the value is repeated after a failure")
		}
		byName := map[string]sample.Probe{}
		for _, s := range r.Stats(time.Now()) {
			byName[s.Name] = s
		}
		if s := byName["good"]; !s.Up || s.GoodAt.IsZero() {
			t.Errorf("good: %+v", s)
		}
		if s := byName["bad"]; s.Up || s.Error != "no" || s.Failed < 2 || s.GoodAt.IsZero() || s.Server != "main" {
			t.Errorf("bad: %+v", s)
		}
		if s := byName["hangs"]; s.Up || !strings.Contains(s.Error, "not done within 2s") {
			t.Errorf("hangs: %+v", s)
		}
	})
}

// TestStuckProbeIsNotUp: a probe that does not even end with its context.
func TestStuckProbeIsNotUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		n := 0
		var slot Slot[int]
		r := NewRunner([]Probe{{Name: "stuck", Every: time.Second, Timeout: time.Second, Run: func(context.Context) error {
			if n++; n > 3 {
				<-release
			}
			slot.Set(&n)
			return nil
		}}})
		r.Start()
		time.Sleep(2500 * time.Millisecond)
		if s := r.Stats(time.Now())[0]; !s.Up {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * time.Second)
		if s := r.Stats(time.Now())[0]; s.Up || !strings.Contains(s.Error, "no answer since") {
			t.Errorf("%+v", s)
		}
		if slot.Get(time.Now(), Stale(time.Second, time.Second)) != nil {
			t.Error("an old value holds")
		}
		close(release)
		r.Stop()
	})
}

func TestTargets(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "ok")
	}))
	defer server.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	look := func(url string, want int) sample.Target {
		target := NewTarget(TargetConfig{Name: "x", URL: url, Status: want, Timeout: 200 * time.Millisecond, Every: time.Second})
		defer target.Close()
		if err := target.Probe().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen, ok := target.Seen()
		if !ok {
			t.Fatal("not seen")
		}
		return seen
	}
	tcp := "tcp://" + strings.TrimPrefix(server.URL, "http://")
	if s := look(server.URL+"/", 0); !s.Up || s.Error != "" {
		t.Errorf("%+v", s)
	}
	if s := look(tcp, 0); !s.Up {
		t.Errorf("%+v", s)
	}
	if s := look(server.URL, 204); s.Up || s.Error != "answers 200 OK" || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
	status = http.StatusServiceUnavailable
	if s := look(server.URL, 0); s.Up || s.Error != "answers 503 Service Unavailable" {
		t.Errorf("%+v", s)
	}
	if s := look(server.URL+"/slow", 0); s.Up || s.Error != "does not answer in time" {
		t.Errorf("%+v", s)
	}
	if s := look("tcp://"+dead.Addr().String(), 0); s.Up || !strings.Contains(s.Error, "refused") {
		t.Errorf("%+v", s)
	}
	if s := look("http://me:secret@127.0.0.1:1/x?token=secret", 0); strings.Contains(s.Address+s.Error, "secret") {
		t.Errorf("a secret is shown: %+v", s)
	}
}

func TestMachine(t *testing.T) {
	m := &Machine{}
	for range 2 {
		if err := m.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // two readings of the kernel's clock ticks
	}
	if err := m.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := m.Get(time.Now(), time.Minute)
	if s == nil || s.CPU < 0 || s.CPU > 1 || s.MemoryTotal <= 0 || s.MemoryFree > s.MemoryTotal || s.OwnMemory <= 0 || s.CPUs < 1 {
		t.Errorf("%+v", s)
	}
}

func TestRecorder(t *testing.T) {
	r := NewRecorder()
	start := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for s := range 3 * 3600 { // three hours, with a minute in which nothing is known
		values := map[string]float64{"a": float64(s)}
		if s >= 7200 && s < 7260 {
			values = map[string]float64{"a": math.NaN()}
		}
		if s%3 == 0 {
			values["b/x"] = 1
		}
		r.Add(start.Add(time.Duration(s)*time.Second), values)
	}
	end := start.Add(3*time.Hour - time.Second)
	fine := r.Between(end.Add(-10*time.Second), end, "a")
	if len(fine) != 1 || len(fine[0].Values) != 11 || fine[0].Step != time.Second || fine[0].Values[10] != 10799 || fine[0].Values[0] != 10789 {
		t.Errorf("fine: %+v", fine)
	}
	long := r.Between(start, end, "a")
	if len(long) != 1 || long[0].Step != 10*time.Second || len(long[0].Values) != 1080 {
		t.Fatalf("coarse: %d values", len(long[0].Values))
	}
	if v := long[0].Values[1]; v != 14.5 {
		t.Errorf("the average of seconds 10 to 19 is %v", v)
	}
	if v := long[0].Values[722]; !math.IsNaN(v) {
		t.Errorf("what was not known is %v", v)
	}
	if names := r.Names(); len(names) != 2 {
		t.Errorf("names %v", names)
	}
	if got := r.Between(end.Add(-time.Minute), end, "b/"); len(got) != 1 || got[0].Name != "b/x" {
		t.Errorf("by prefix: %+v", got)
	}
	r.Add(end.Add(-time.Hour), map[string]float64{"a": -1}) // the clock went back: not taken
	if got := r.Between(end, end, "a"); got[0].Values[0] != 10799 {
		t.Errorf("%+v", got)
	}
	r.Add(end.Add(25*time.Hour), map[string]float64{"a": 5})
	if got := r.Between(end.Add(25*time.Hour-time.Minute), end.Add(25*time.Hour), "a"); len(got[0].Values) != 61 || !math.IsNaN(got[0].Values[0]) || got[0].Values[60] != 5 {
		t.Errorf("after a long pause: %+v", got)
	}
}

// TestRecorderIsBounded: made-up names cost no more than maxSeries.
func TestRecorderIsBounded(t *testing.T) {
	r := NewRecorder()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for i := range 3 {
		values := map[string]float64{}
		for j := range 300 {
			values[fmt.Sprintf("n%d-%d", i, j)] = 1
		}
		r.Add(at.Add(time.Duration(i)*time.Second), values)
	}
	if n := len(r.Names()); n != maxSeries || r.Lost() == 0 {
		t.Errorf("%d series, %d lost", n, r.Lost())
	}
	r.Add(at.Add(25*time.Hour), map[string]float64{"new": 1})
	if n := len(r.Names()); n != 1 {
		t.Errorf("%d series after a day", n)
	}
}
