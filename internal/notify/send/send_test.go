package send

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"spillway/internal/notify/alarm"
)

func example() alarm.Alarm {
	at := time.Date(2026, 11, 21, 2, 15, 0, 0, time.UTC)
	return alarm.Alarm{
		Key: "slots/main", Status: alarm.Firing, Level: alarm.Page, Detector: "slots-full", Upstream: "main", Workload: "session-cleanup",
		Summary:  "500/500 slots for 3 min, 61 % held by session-cleanup <!channel> & co",
		Evidence: []string{"312 waiting, oldest 41 s", "traffic is normal"}, Runbook: "spillway pause session-cleanup", Since: at, At: at.Add(time.Minute),
	}
}

// sent makes a sender of a server that answers with handler.
func sent(t *testing.T, e Endpoint, handler http.HandlerFunc) *Sender {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	e.URL, e.Region, e.Node = server.URL, "us-east-1", "node-1"
	s, err := New(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// capture sends the alarm and returns the request.
func capture(t *testing.T, e Endpoint, a alarm.Alarm) (*http.Request, map[string]any, string) {
	t.Helper()
	var got *http.Request
	var text string
	s := sent(t, e, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, text = r, string(body)
	})
	if err := s.Send(t.Context(), a.Bounded()); err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")), &object); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return got, object, text
}

func TestPagerDuty(t *testing.T) {
	_, body, _ := capture(t, Endpoint{Kind: PagerDuty, Key: "R0"}, example())
	payload, _ := body["payload"].(map[string]any)
	if body["routing_key"] != "R0" || body["event_action"] != "trigger" || body["dedup_key"] != "spillway/us-east-1/node-1/slots/main" ||
		payload["severity"] != "critical" || payload["source"] != "us-east-1/node-1" || payload["timestamp"] != "2026-11-21T02:15:00Z" || payload["component"] != "main" {
		t.Errorf("trigger: %v", body)
	}
	gone := example()
	gone.Status = alarm.Resolved
	_, over, _ := capture(t, Endpoint{Kind: PagerDuty, Key: "R0"}, gone)
	if over["event_action"] != "resolve" || over["dedup_key"] != body["dedup_key"] || over["payload"] != nil {
		t.Errorf("resolve: %v", over)
	}
	long := example()
	long.Key, long.Summary = strings.Repeat("k", 10000), strings.Repeat("ä", 10000)
	for range 100 {
		long.Evidence = append(long.Evidence, strings.Repeat("e", 10000))
	}
	_, body, text := capture(t, Endpoint{Kind: PagerDuty, Key: "R0"}, long)
	if key, _ := body["dedup_key"].(string); len(key) > 255 || len(text) > 512<<10 {
		t.Errorf("dedup_key has %d bytes, the body %d", len(key), len(text))
	}
}

func TestSlack(t *testing.T) {
	_, body, text := capture(t, Endpoint{Kind: Slack}, example())
	if fallback, _ := body["text"].(string); !strings.Contains(fallback, "PAGE") || !strings.Contains(fallback, "&lt;!channel&gt; &amp; co") {
		t.Errorf("text %q", fallback)
	}
	if strings.Contains(text, "<!channel>") {
		t.Error("a name calls the channel")
	}
	long := example()
	long.Summary = strings.Repeat("<&>", 5000)
	for range 100 {
		long.Evidence = append(long.Evidence, strings.Repeat("&", 1000))
	}
	_, body, _ = capture(t, Endpoint{Kind: Slack}, long)
	blocks, _ := body["blocks"].([]any)
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		if inner, ok := block["text"].(map[string]any); ok {
			said, _ := inner["text"].(string)
			if len(said) > longestSection || strings.HasSuffix(strings.TrimSuffix(said, "…"), "&am") {
				t.Errorf("a section of %d bytes that ends in %q", len(said), said[len(said)-10:])
			}
		}
	}
}

func TestAlertmanager(t *testing.T) {
	r, body, _ := capture(t, Endpoint{Kind: Alertmanager, Token: "tok", Repeat: time.Minute}, example())
	labels, _ := body["labels"].(map[string]any)
	if r.URL.Path != "/api/v2/alerts" || r.Header.Get("Authorization") != "Bearer tok" || labels["alertname"] != "SpillwaySlotsFull" ||
		labels["generator"] != "spillway" || labels["severity"] != "critical" || labels["workload"] != "session-cleanup" {
		t.Errorf("%s %v", r.URL.Path, body)
	}
	ends, err := time.Parse(time.RFC3339Nano, fmt.Sprint(body["endsAt"]))
	if err != nil || time.Until(ends) < 4*time.Minute {
		t.Errorf("ends at %v, %v", body["endsAt"], err)
	}
	gone := example()
	gone.Status, gone.Upstream = alarm.Resolved, ""
	_, body, _ = capture(t, Endpoint{Kind: Alertmanager}, gone)
	labels, _ = body["labels"].(map[string]any)
	if _, there := labels["upstream"]; there || body["endsAt"] != "2026-11-21T02:16:00Z" {
		t.Errorf("resolved: %v", body)
	}
}

func TestWebhookIsSigned(t *testing.T) {
	r, body, text := capture(t, Endpoint{Kind: Webhook, Key: "0123456789abcdef"}, example())
	if body["version"] != 1.0 || body["key"] != "slots/main" || body["region"] != "us-east-1" || body["status"] != "firing" {
		t.Errorf("body %v", body)
	}
	given := r.Header.Get(SignatureHeader)
	var seconds int64
	if _, err := fmt.Sscanf(given, "t=%d,", &seconds); err != nil || given != Sign("0123456789abcdef", []byte(text), time.Unix(seconds, 0)) {
		t.Errorf("signature %q, %v", given, err)
	}
	// python3: hmac.new(b"k", b"1.body", "sha256")
	if got := Sign("k", []byte("body"), time.Unix(1, 0)); got != "t=1,v1=6e005234e2e9b8d2d4963e861925cbc22f29be0a65e4d9ba7cd6b8af0115dae2" {
		t.Errorf("got %s", got)
	}
	r, _, _ = capture(t, Endpoint{Kind: Webhook}, example())
	if r.Header.Get(SignatureHeader) != "" {
		t.Error("signed without a key")
	}
}

// TestVerdicts: what an answer means for the alarm.
func TestVerdicts(t *testing.T) {
	for status, want := range map[int]Verdict{
		500: Again, 502: Again, 503: Again, 504: Again, 429: Again, 408: Again,
		400: Refused, 413: Refused, 422: Refused,
		401: Locked, 403: Locked, 404: Locked, 410: Locked, 301: Locked, 307: Locked,
	} {
		s := sent(t, Endpoint{Kind: Slack}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/elsewhere")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "no\x1b[31m\nway")
		})
		err := s.Send(t.Context(), example())
		f, ok := err.(*Failure) //nolint:errorlint // the contract of Send
		if !ok || f.Verdict != want || f.Status != status || strings.Contains(f.Text, "\x1b") || want == Again && f.After != 7*time.Second {
			t.Errorf("%d: %+v", status, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, " 30 ": 30 * time.Second, "-1": 0, "1e9": 0, "99999999999999999999": 0, "2147483647": time.Hour,
		"Sat, 21 Nov 2026 02:01:00 GMT": time.Minute, "Sat, 21 Nov 2020 02:01:00 GMT": 0, "Sat, 21 Nov 2099 02:01:00 GMT": time.Hour, "soon": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestBadPeers: endpoints that hang, trickle, reset, hang up or never stop
// talking cost no more than the time that was given.
func TestBadPeers(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	for name, serve := range map[string]func(net.Conn){
		"hangs":    func(net.Conn) { <-over },
		"hangs up": func(c net.Conn) { c.Close() },
		"resets": func(c net.Conn) {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		},
		"trickles": func(c net.Conn) {
			for _, b := range "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 1<<20) {
				if _, err := c.Write([]byte(string(b))); err != nil {
					return
				}
				select {
				case <-over:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		},
		"speaks another language": func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n")); c.Close() },
		"never stops its headers": func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n"))
			for range 1 << 20 {
				if _, err := c.Write([]byte("X-Y: " + strings.Repeat("z", 1000) + "\r\n")); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, serve)
			s, err := New(Endpoint{Kind: Webhook, URL: "http://" + address + "/T0/B0/secret"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			sendErr := s.Send(ctx, example())
			f, ok := sendErr.(*Failure) //nolint:errorlint // the contract of Send
			if !ok || f.Verdict != Again || strings.Contains(f.Text, "secret") {
				t.Errorf("got %v", sendErr)
			}
		})
	}
}

// TestEndlessAnswer: an answer that never ends is not read to its end.
func TestEndlessAnswer(t *testing.T) {
	s := sent(t, Endpoint{Kind: Slack}, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write([]byte(strings.Repeat("x", 1000))); err != nil {
				return
			}
		}
	})
	if err := s.Send(t.Context(), example()); err != nil {
		t.Error(err)
	}
}

func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "slack", "ftp://h/x", "http://", "://", "http://secret\x00"} {
		if _, err := New(Endpoint{Kind: Slack, URL: bad}); err == nil || bad != "" && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	s, err := New(Endpoint{Kind: PagerDuty, Key: "R0"})
	if err != nil || s.Host() != "events.pagerduty.com" {
		t.Errorf("PagerDuty: %v, %v", s, err)
	}
	// A refused connection's error does not hold the address.
	s, err = New(Endpoint{Kind: Slack, URL: "http://127.0.0.1:1/services/T0/B0/secret"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), example()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("refused: %v", err)
	}
}
