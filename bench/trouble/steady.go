package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Paces of what goes on in every slice, with trouble and without.
const (
	alarmEvery   = 100 * time.Millisecond // each is two events of the log
	bystanders   = 4                      // clients of the second server
	bystandEvery = 50 * time.Millisecond
	bystandWait  = 2 * time.Second
)

// steady is what goes on all the time: alarms of another monitor, so that the
// log is written to, and clients of the second server, so that it is missed.
type steady struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu             sync.Mutex
	served, failed int // statements of the bystanders; guarded by mu
}

func startSteady(api, elsewhere string) *steady {
	ctx, cancel := context.WithCancel(context.Background())
	s := &steady{cancel: cancel}
	s.done.Go(func() { alarms(ctx, api) })
	for range bystanders {
		s.done.Go(func() { s.bystand(ctx, elsewhere) })
	}
	return s
}

func (s *steady) stop() {
	s.cancel()
	s.done.Wait()
}

// take returns what the bystanders got since it was last asked.
func (s *steady) take() (served, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	served, failed = s.served, s.failed
	s.served, s.failed = 0, 0
	return served, failed
}

// alarms come and go at warn, of which nobody is told.
func alarms(ctx context.Context, api string) {
	every := time.NewTicker(alarmEvery)
	defer every.Stop()
	for n := 0; ; n++ {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		status := [2]string{"firing", "resolved"}[n%2]
		_ = post(ctx, api, fmt.Sprintf(`{"key":"steady","status":%q,"level":"warn","summary":"steady %d"}`, status, n/2)) // the next may get through
	}
}

// post raises or resolves an alarm at the node.
func post(ctx context.Context, api, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/api/v1/alarms/hook", bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("post an alarm: %s: %s", answer.Status, text)
	}
	return err
}

// bystand is one client of the second server, which may be away.
func (s *steady) bystand(ctx context.Context, url string) {
	var conn *pgx.Conn
	every := time.NewTicker(bystandEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			if conn != nil {
				_ = conn.Close(context.Background()) // it is left either way
			}
			return
		}
		conn = s.ask(ctx, conn, url)
	}
}

// ask runs one statement; nil means that a new connection is needed.
func (s *steady) ask(ctx context.Context, conn *pgx.Conn, url string) *pgx.Conn {
	ctx, cancel := context.WithTimeout(ctx, bystandWait)
	defer cancel()
	var err error
	if conn == nil {
		conn, err = pgx.Connect(ctx, url)
	}
	if err == nil {
		if _, err = conn.Exec(ctx, "SELECT 1"); err != nil {
			_ = conn.Close(context.Background()) // it failed
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed++
		return nil
	}
	s.served++
	return conn
}
