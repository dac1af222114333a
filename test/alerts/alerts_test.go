package alerts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"spillway/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a-token-of-the-test"

// pager is an endpoint: what it took, and how it behaves now.
type pager struct {
	*httptest.Server
	mu      sync.Mutex
	came    []string
	tries   int
	behave  func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	release chan struct{}
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{release: make(chan struct{})}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.tries++
		behave := p.behave
		p.mu.Unlock()
		if behave != nil && behave(w, r) {
			return
		}
		var a struct{ Key, Status string }
		_ = json.Unmarshal(body, &a) // an empty key shows it
		p.mu.Lock()
		p.came = append(p.came, a.Key+" "+a.Status)
		p.mu.Unlock()
	}))
	t.Cleanup(func() { close(p.release); p.Close() })
	return p
}

func (p *pager) set(behave func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behave = behave
}

func (p *pager) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.came)
}

func (p *pager) tried() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries
}

// hang answers nothing until the test ends.
func (p *pager) hang(_ http.ResponseWriter, r *http.Request) bool {
	select {
	case <-p.release:
	case <-r.Context().Done():
	}
	return true
}

func reset(w http.ResponseWriter, _ *http.Request) bool {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	return true
}

func answer(status int) func(w http.ResponseWriter, _ *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		return true
	}
}

// node is one running Spillway whose data_dir outlives it.
type node struct {
	*pgtest.Proxy
	admin string
}

func run(t *testing.T, data string, channels ...string) *node {
	t.Helper()
	admin := pgtest.FreeAddr(t)
	yaml := fmt.Sprintf(`
data_dir: %s
listen: [%q]
admin: %q
servers: {main: {url: "postgres://nobody@127.0.0.1:1/postgres", max_connections: 50}}
auth: {type: trust}
alarms:
  hook: {type: webhook, token: %s}
  am: {type: alertmanager, token: %s}
notify:
  %s
`, data, pgtest.FreeAddr(t), admin, token, token, strings.Join(channels, "\n  "))
	return &node{pgtest.Spillway(t, yaml, pgtest.SpillwayOptions{Admin: admin}), admin}
}

// webhook is a channel to the pager. An endpoint that answers gets a timeout that
// no slow machine makes it miss.
func webhook(name string, p *pager, timeout string) string {
	return fmt.Sprintf(`%s: {type: webhook, url: "%s/services/T0/B0/verysecret", foreign: true, timeout: %s}`, name, p.URL, timeout)
}

// post sends a body to a source and returns the status.
func (n *node) post(t *testing.T, source, bearer string, body io.Reader) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+n.admin+"/api/v1/alarms/"+source, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	http.DefaultClient.CloseIdleConnections()
	return response.StatusCode
}

func (n *node) alarm(t *testing.T, key, status string) {
	t.Helper()
	body := fmt.Sprintf(`{"key":%q,"status":%q,"summary":"of a test","level":"page","since":%q}`, key, status, time.Now().Format(time.RFC3339Nano))
	if got := n.post(t, "hook", token, strings.NewReader(body)); got != http.StatusOK {
		t.Fatalf("%s %s: status %d", key, status, got)
	}
}

func (n *node) get(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + n.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return string(text)
}

// until polls for at most two minutes.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// inOrder checks that of each key the first message is the trigger and the last
// the resolve.
func inOrder(t *testing.T, came []string, keys ...string) {
	t.Helper()
	for _, key := range keys {
		var of []string
		for _, m := range came {
			if strings.HasPrefix(m, key+" ") {
				of = append(of, strings.TrimPrefix(m, key+" "))
			}
		}
		if len(of) < 2 || of[0] != "firing" || of[len(of)-1] != "resolved" {
			t.Errorf("%s came as %v", key, of)
		}
	}
}

// TestThroughEveryFailure: alarms reach a good endpoint at once while another
// hangs, fails and resets, and reach that one in order when it is well.
func TestThroughEveryFailure(t *testing.T) {
	good, bad := newPager(t), newPager(t)
	bad.set(bad.hang)
	n := run(t, t.TempDir(), webhook("good", good, "30s"), webhook("bad", bad, "500ms"))
	var keys []string
	for i, behave := range []func(http.ResponseWriter, *http.Request) bool{bad.hang, reset, answer(500), answer(429), answer(503)} {
		bad.set(behave)
		key := fmt.Sprint("k", i)
		tries := bad.tried()
		n.alarm(t, key, "firing")
		until(t, "an attempt at the bad endpoint", func() bool { return bad.tried() > tries })
		n.alarm(t, key, "resolved")
		key = "foreign/hook/" + key
		keys = append(keys, key)
		until(t, "the good endpoint", func() bool { return slices.Contains(good.got(), key+" resolved") })
		if i == 0 {
			until(t, "the bad endpoint's trouble on the good one", func() bool { return slices.Contains(good.got(), "notify/bad firing") })
			if text := n.get(t, "/metrics"); !strings.Contains(text, `spillway_notify_failing{channel="bad",endpoint="`+strings.TrimPrefix(bad.URL, "http://")+`",kind="webhook"} 1`) {
				t.Error("the metrics do not show it")
			}
		}
		bad.set(nil)
		until(t, "the bad endpoint to catch up", func() bool { return slices.Contains(bad.got(), key+" resolved") })
	}
	inOrder(t, good.got(), keys...)
	inOrder(t, bad.got(), keys...)
	until(t, "the end of its trouble", func() bool { return slices.Contains(good.got(), "notify/bad resolved") })
	if text := n.get(t, "/metrics"); !strings.Contains(text, `spillway_alarms_received_total{result="taken",source="hook"} 10`) {
		t.Error("the metrics do not count what came")
	}
	if strings.Contains(n.Log.String(), "verysecret") || strings.Contains(n.get(t, "/api/v1/notify"), "verysecret") || strings.Contains(n.Log.String(), token) {
		t.Error("a secret is shown")
	}
}

// TestKill9: what was not sent when the process was killed is sent by the next.
func TestKill9(t *testing.T) {
	data, p := t.TempDir(), newPager(t)
	p.set(answer(503))
	first := run(t, data, webhook("chat", p, "30s"))
	for i := range 20 {
		first.alarm(t, fmt.Sprint("k", i), "firing")
	}
	first.alarm(t, "k3", "resolved")
	until(t, "the queue on disk", func() bool { // it is written in the background
		text, err := os.ReadFile(filepath.Join(data, "notify.json"))
		return err == nil && strings.Contains(string(text), `"foreign/hook/k19"`) && strings.Contains(string(text), `"status":"resolved"`)
	})
	if err := first.Kill9(); err != nil {
		t.Fatal(err)
	}
	p.set(nil)
	run(t, data, webhook("chat", p, "30s"))
	all := []string{"foreign/hook/k3 resolved"}
	for i := range 20 {
		all = append(all, fmt.Sprintf("foreign/hook/k%d firing", i))
	}
	until(t, "all 21", func() bool {
		return !slices.ContainsFunc(all, func(one string) bool { return !slices.Contains(p.got(), one) })
	})
	inOrder(t, p.got(), "foreign/hook/k3")
}

// TestStrangersAndHugeBodies: refused with the right status, logged, and
// nothing is told.
func TestStrangersAndHugeBodies(t *testing.T) {
	p := newPager(t)
	n := run(t, t.TempDir(), webhook("chat", p, "30s"))
	good := `{"key":"k","status":"firing","summary":"s"}`
	ten := strings.Repeat("x", 10<<20)
	for name, test := range map[string]struct {
		source, bearer string
		body           io.Reader
		want           int
	}{
		"wrong token":       {"hook", "a-token-of-the-tesu", strings.NewReader(good), 401},
		"no such source":    {"none", token, strings.NewReader(good), 401},
		"not of the form":   {"am", token, strings.NewReader(good), 400},
		"10 MB":             {"hook", token, strings.NewReader(`{"key":"k","status":"firing","summary":"` + ten + `"}`), 413},
		"10 MB in pieces":   {"hook", token, io.MultiReader(strings.NewReader(`{"key":"`), strings.NewReader(ten)), 413},
		"10 MB of brackets": {"am", token, bytes.NewReader(bytes.Repeat([]byte("["), 10<<20)), 413},
	} {
		if got := n.status(t, test.source, test.bearer, test.body); got != test.want {
			t.Errorf("%s: status %d, want %d", name, got, test.want)
		}
	}
	for name, test := range map[string]struct{ request, want string }{
		"half a body": {"POST /api/v1/alarms/hook HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 100\r\n\r\n" + good[:20], "400"},
		"a broken chunk": {"POST /api/v1/alarms/hook HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"5\r\n{\"key\r\nZZ\r\n", "400"},
		"length and chunks": {"POST /api/v1/alarms/hook HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + good, "400"},
		"another host name": {"POST /api/v1/alarms/hook HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer " + token + "\r\nContent-Length: 0\r\n\r\n", "421"},
		"by GET":            {"GET /api/v1/alarms/hook HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n\r\n", "404"},
	} {
		if got := n.raw(t, test.request); got != test.want {
			t.Errorf("%s: status %s, want %s", name, got, test.want)
		}
	}
	if got := p.got(); len(got) != 0 {
		t.Errorf("told %v", got)
	}
	log := n.Log.String()
	for _, words := range []string{"alarm refused", "the body is too large", "the body cannot be read"} {
		if !strings.Contains(log, words) {
			t.Errorf("the log does not say %q", words)
		}
	}
	if strings.Contains(log, "verysecret") || strings.Contains(log, token) {
		t.Error("the log holds a secret")
	}
}

// status is post for bodies that the server may not read to their end.
func (n *node) status(t *testing.T, source, bearer string, body io.Reader) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+n.admin+"/api/v1/alarms/"+source, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	r.Header.Set("Expect", "100-continue")
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// raw sends bytes, says that nothing follows, and returns the status.
func (n *node) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", n.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return line
	}
	return fields[1]
}
