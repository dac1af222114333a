package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logLines opens a JSON log, lets use write, closes it and returns the lines.
func logLines(t *testing.T, config LogConfig, use func(*journal)) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	config.Format = "json"
	log, err := openLog(&out, config)
	if err != nil {
		t.Fatal(err)
	}
	use(log)
	log.Close()
	var lines []map[string]any
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("not JSON: %q: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLogLevelChanges(t *testing.T) {
	lines := logLines(t, LogConfig{Level: "warn"}, func(log *journal) {
		log.Info("unseen")
		log.Warn("seen")
		if err := log.apply(LogConfig{Level: "debug", Format: "json"}); err != nil {
			t.Error(err)
		}
		log.With("a", 1).WithGroup("g").Debug("seen too", "b", 2)
		if log.apply(LogConfig{Level: "loud"}) == nil || log.apply(LogConfig{Level: "error", Format: "xml"}) == nil {
			t.Error("an unknown level or format is accepted")
		}
		log.Debug("and this")
	})
	if len(lines) != 3 || lines[0]["msg"] != "seen" || lines[1]["msg"] != "seen too" || lines[2]["msg"] != "and this" {
		t.Errorf("lines %v", lines)
	}
}

func TestLogFormatChanges(t *testing.T) {
	var out bytes.Buffer
	log, err := openLog(&out, LogConfig{})
	if err != nil {
		t.Fatal(err)
	}
	with := log.With("a", 1)
	with.Info("one")
	if err := log.apply(LogConfig{Format: "json"}); err != nil {
		t.Fatal(err)
	}
	with.WithGroup("g").Info("two", "b", 2)
	log.Close()
	first, second, _ := strings.Cut(out.String(), "\n")
	if !strings.HasSuffix(first, "level=INFO msg=one a=1") || !strings.Contains(second, `"msg":"two","a":1,"g":{"b":2}`) {
		t.Errorf("the log is\n%s", out.String())
	}
}

func TestLogConfigErrors(t *testing.T) {
	for _, config := range []LogConfig{{Level: "loud"}, {Format: "xml"}} {
		if _, err := openLog(io.Discard, config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
}

func TestLogFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := logLines(t, LogConfig{PerSecond: 3}, func(log *journal) {
			for i := range 10 {
				log.With("loop", 1).Info("client refused", "i", i)
				log.Warn("client refused")
			}
			log.Info("another")
			time.Sleep(2 * time.Second) // the report comes by itself
			log.Info("client refused")
			synctest.Wait()
		})
		got := map[string]int{}
		for _, line := range lines {
			got[fmt.Sprint(line["level"], " ", line["msg"], " ", line["message"], " ", line["count"])]++
		}
		want := map[string]int{
			"INFO client refused <nil> <nil>":              4,
			"WARN client refused <nil> <nil>":              3,
			"INFO another <nil> <nil>":                     1,
			"INFO suppressed equal lines client refused 7": 1,
			"WARN suppressed equal lines client refused 7": 1,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestLogFloodBoundsItsMemory(t *testing.T) {
	h := newFloodHandler(slog.DiscardHandler, 1).(*floodHandler)
	for i := range 10 * floodKeys {
		h.admit(floodKey{message: fmt.Sprint(i)})
	}
	if len(h.counts) > floodKeys {
		t.Errorf("%d keys kept", len(h.counts))
	}
}

func TestLogKeepsNoSecret(t *testing.T) {
	u := &url.URL{Scheme: "postgres", User: url.UserPassword("u", "hunter2"), Host: "db"}
	lines := logLines(t, LogConfig{}, func(log *journal) {
		log.Info("x", "password", "hunter2", "server_password", "hunter2", "Token", "hunter2",
			"url", "connect postgres://u:hunter2@db-1:5432/app?x=1 failed",
			"error", fmt.Errorf("dial: %w", errors.New("postgres://u:hunter2@db/x")),
			"parsed", u, slog.Group("auth", "secret", "hunter2"))
	})
	text := fmt.Sprint(lines)
	if strings.Contains(text, "hunter2") {
		t.Errorf("the password is in %s", text)
	}
	for _, want := range []string{"postgres://u:[redacted]@db-1:5432/app?x=1 failed", "dial: postgres://u:[redacted]@db/x"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
}

func TestRedactURLs(t *testing.T) {
	tests := map[string]string{
		"":                             "",
		"plain":                        "plain",
		"http://host/path@x":           "http://host/path@x",
		"a://u@h b://u:p@h":            "a://u@h b://u:[redacted]@h",
		"postgres://u:p@ss@h/db":       "postgres://u:[redacted]@h/db",
		"://:@":                        "://:[redacted]@",
		`"postgres://u:p@h" and 'x://`: `"postgres://u:[redacted]@h" and 'x://`,
	}
	for text, want := range tests {
		if got := redactURLs(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// stuckWriter blocks until it is released.
type stuckWriter struct {
	release chan struct{}
	entered chan struct{}
	once    sync.Once
	bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.entered) })
	<-w.release
	return w.Buffer.Write(p)
}

// TestPipeNeverBlocks: writers go on while the output hangs, what does not fit
// is dropped, counted and told.
func TestPipeNeverBlocks(t *testing.T) {
	out := &stuckWriter{release: make(chan struct{}), entered: make(chan struct{})}
	lost := 0
	p := newPipe(out, func(lines int) { lost += lines })
	line := []byte(strings.Repeat("x", 1023) + "\n")
	write := func() {
		if n, err := p.Write(line); n != len(line) || err != nil {
			t.Fatalf("write answered %d, %v", n, err)
		}
	}
	write()
	<-out.entered
	for range 3 * pipeBytes / len(line) {
		write()
	}
	p.Close(0) // the output hangs: Close must not
	close(out.release)
	<-p.done
	kept := out.Len() / len(line)
	if lost == 0 || kept+lost != 1+3*pipeBytes/len(line) {
		t.Errorf("%d lines written, %d told lost", kept, lost)
	}
	write()
	if out.Len()/len(line) != kept+1 {
		t.Error("a line after Close is not written")
	}
}
