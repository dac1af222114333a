package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often the verdict is asked for, and so how exact the times of
// findings are.
const lookEvery = 250 * time.Millisecond

// finding is one that holds.
type finding struct {
	Key, Summary string
	seen         time.Time // by the watch
}

// watch asks the node for its verdict all the time.
type watch struct {
	api    string
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu    sync.Mutex
	holds []finding // guarded by mu
}

func startWatch(api string) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{api: api, cancel: cancel}
	w.done.Go(func() {
		every := time.NewTicker(lookEvery)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				w.look(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return w
}

func (w *watch) stop() {
	w.cancel()
	w.done.Wait()
}

// look takes the findings that hold now; those of before keep their time.
func (w *watch) look(ctx context.Context) {
	var verdict struct{ Findings []finding }
	if get(ctx, w.api+"/api/v1/verdict", &verdict) != nil {
		return // the next look may get through
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range verdict.Findings {
		f := &verdict.Findings[n]
		f.seen = now
		if at := slices.IndexFunc(w.holds, func(have finding) bool { return have.Key == f.Key }); at >= 0 {
			f.seen = w.holds[at].seen
		}
	}
	w.holds = verdict.Findings
}

// named is the first finding of a trouble that holds.
func (w *watch) named(t trouble) (first finding, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.holds {
		if slices.ContainsFunc(t.keys, func(key string) bool { return strings.HasPrefix(f.Key, key) }) && (!ok || f.seen.Before(first.seen)) {
			first, ok = f, true
		}
	}
	return first, ok
}

// until waits until a trouble is named, or is not any more.
func (w *watch) until(ctx context.Context, t trouble, named bool) (finding, error) {
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	for {
		f, ok := w.named(t)
		if ok == named {
			return f, nil
		}
		if err := wait(ctx, lookEvery); err != nil {
			return f, fmt.Errorf("findings %v: named is %v after %v", t.keys, ok, findWithin)
		}
	}
}

// findWithin is longer than the longest pause before the log or an endpoint is
// tried again.
const findWithin = 3 * time.Minute

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// get reads an answer of the API.
func get(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
