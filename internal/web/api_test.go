package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var moving = regexp.MustCompile(`"(at|checked_out_at|transaction_at)": "[^"]*"`)

// TestFacts holds the JSON of every snapshot: clients depend on its names.
func TestFacts(t *testing.T) {
	f := newFake()
	s, err := New(f.config())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.facts())) {
		t.Run(name, func(t *testing.T) {
			status, body, header := do(t, s.http.Handler, request("GET", "/api/v1/"+name, ""))
			if status != 200 || header.Get("Content-Type") != "application/json" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, %v", status, header)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, []byte(body), "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, "api_"+name+".json", moving.ReplaceAllString(indented.String(), `"$1": "then"`))
		})
	}
	f.fail = errFake
	for name := range s.facts() {
		status, body, _ := do(t, s.http.Handler, request("GET", "/api/v1/"+name, ""))
		if status != 503 || !strings.Contains(body, `"hint"`) || strings.Contains(body, errFake.Error()) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestEmptyFactsAreArrays(t *testing.T) {
	f := newFake()
	f.databases = nil
	if _, body, _ := do(t, handler(t, f.config()), request("GET", "/api/v1/databases", "")); !strings.Contains(body, `"items":[]`) {
		t.Errorf("got %s", body)
	}
}

func TestVerbs(t *testing.T) {
	for _, c := range []struct {
		path, body string
		status     int
		asked      string
	}{
		{"/api/v1/pause", `{"database":"app","timeout":"5s"}`, 200, "pause(app)"},
		{"/api/v1/pause", "", 200, "pause()"},
		{"/api/v1/resume", `{}`, 200, "resume()"},
		{"/api/v1/reconnect", `{"database":"app"}`, 200, "reconnect(app)"},
		{"/api/v1/wait-close", `{"database":"app"}`, 200, "wait_close(app)"},
		{"/api/v1/disable", `{"database":"app"}`, 200, "disable(app)"},
		{"/api/v1/enable", `{"database":"app"}`, 200, "enable(app)"},
		{"/api/v1/disable", ``, 400, ""},
		{"/api/v1/kill", `{"database":"app"}`, 200, "kill(app)"},
		{"/api/v1/kill", `{"all":true}`, 200, "kill()"},
		{"/api/v1/kill", `{}`, 400, ""},
		{"/api/v1/kill-client", `{"id":11}`, 200, "kill_client(11)"},
		{"/api/v1/kill-client", `{}`, 400, ""},
		{"/api/v1/reload", ``, 200, "reload()"},
		{"/-/reload", ``, 200, "reload()"},
		{"/api/v1/shutdown", ``, 200, "shutdown(wait_for_clients)"},
		{"/api/v1/shutdown", `{"mode":"immediate"}`, 200, "shutdown(immediate)"},
		{"/api/v1/shutdown", `{"mode":"now"}`, 400, ""},
		{"/api/v1/pause", `{"timeout":"never"}`, 400, ""},
		{"/api/v1/pause", `{"timeout":"-1s"}`, 400, ""},
		{"/api/v1/pause", `{"timeout":"11m"}`, 400, ""},
		{"/api/v1/pause", `{"databse":"app"}`, 400, ""},
		{"/api/v1/pause", `{"database":"app"`, 400, ""},
		{"/api/v1/pause", `{} {}`, 400, ""},
		{"/api/v1/pause", `[]`, 400, ""},
		{"/api/v1/kill-client", `{"id":-1}`, 400, ""},
		{"/api/v1/pause", `{"database":"` + strings.Repeat("x", maxBody) + `"}`, 413, ""},
		{"/api/v1/explode", `{}`, 404, ""},
	} {
		f := newFake()
		status, body, _ := do(t, handler(t, f.config()), as(request("POST", c.path, c.body), 0, true))
		if status != c.status {
			t.Errorf("%s %.80s: status %d: %s", c.path, c.body, status, body)
		}
		if status != 200 && !strings.HasPrefix(body, `{"error":"`) {
			t.Errorf("%s %.80s: %s", c.path, c.body, body)
		}
		if c.asked == "" {
			f.wasAsked(t)
		} else {
			f.wasAsked(t, c.asked)
		}
	}
}

// TestVerbsNeedJSON: a page elsewhere can make a browser send plain forms.
func TestVerbsNeedJSON(t *testing.T) {
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"} {
		f := newFake()
		r := as(request("POST", "/api/v1/pause", `{}`), 0, true)
		r.Header.Set("Content-Type", kind)
		if status, _, _ := do(t, handler(t, f.config()), r); status != http.StatusUnsupportedMediaType {
			t.Errorf("%q: status %d", kind, status)
		}
		f.wasAsked(t)
	}
}

func TestVerbErrors(t *testing.T) {
	f := newFake()
	h := handler(t, f.config())
	f.verbFail = errors.New("no such database: app")
	if status, body, _ := do(t, h, as(request("POST", "/api/v1/pause", ""), 0, true)); status != 409 || !strings.Contains(body, "no such database") {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := do(t, h, as(request("POST", "/api/v1/reload", ""), 0, true)); status != 422 || !strings.Contains(body, "Nothing has changed") {
		t.Errorf("%d %s", status, body)
	}
}

func TestVerbTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.block = true
		start := time.Now()
		status, body, _ := do(t, handler(t, f.config()), as(request("POST", "/api/v1/pause", `{"timeout":"5s"}`), 0, true))
		if status != 504 || !strings.Contains(body, "within the time limit") || time.Since(start) != 5*time.Second {
			t.Errorf("%d %s after %v", status, body, time.Since(start))
		}
	})
}

// TestWhoMayAct asks every verb as everyone: deny is what is left over.
func TestWhoMayAct(t *testing.T) {
	me := uint32(os.Geteuid())
	bearer := func(header string) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request {
			r.Header.Set("Authorization", header)
			return r
		}
	}
	for _, c := range []struct {
		name   string
		token  string
		origin func(*http.Request) *http.Request
		status int
	}{
		{"root on the socket", "", func(r *http.Request) *http.Request { return as(r, 0, true) }, 200},
		{"the same user on the socket", "", func(r *http.Request) *http.Request { return as(r, me, true) }, 200},
		{"another user on the socket", "", func(r *http.Request) *http.Request { return as(r, me+4242, true) }, 403},
		{"another user with the token", testToken, func(r *http.Request) *http.Request { return bearer("Bearer " + testToken)(as(r, me+4242, true)) }, 403},
		{"nobody knows who on the socket", "", func(r *http.Request) *http.Request { return as(r, 0, false) }, 403},
		{"TCP without a token configured", "", func(r *http.Request) *http.Request { return r }, 403},
		{"TCP, an empty token against none", "", bearer("Bearer "), 403},
		{"TCP without the token", testToken, func(r *http.Request) *http.Request { return r }, 401},
		{"TCP with a wrong token", testToken, bearer("Bearer " + testToken + "x"), 401},
		{"TCP with an empty token", testToken, bearer("Bearer "), 401},
		{"TCP with the token otherwise", testToken, bearer("Basic " + testToken), 401},
		{"TCP with the token alone", testToken, bearer(testToken), 401},
		{"TCP with the token", testToken, bearer("Bearer " + testToken), 200},
		{"TCP with the token, lower case", testToken, bearer("bearer  " + testToken), 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake()
			config := f.config()
			config.Token = c.token
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			for name := range s.verbs() {
				f.asked = nil
				status, body, header := do(t, s.http.Handler, c.origin(request("POST", "/api/v1/"+name, `{"database":"app","id":1}`)))
				if status != c.status {
					t.Errorf("%s: status %d: %s", name, status, body)
				}
				if status == 401 && header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s: %v", name, header)
				}
				if acted := len(f.asked) > 0; acted != (c.status == 200) {
					t.Errorf("%s: the proxy was asked %q", name, f.asked)
				}
				if strings.Contains(body, testToken) {
					t.Errorf("%s: the answer repeats the token", name)
				}
			}
		})
	}
}

// TestVerbsArePosts: no verb hides behind a GET.
func TestVerbsArePosts(t *testing.T) {
	f := newFake()
	s, err := New(f.config())
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.verbs() {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
			if status, _, _ := do(t, s.http.Handler, as(request(method, "/api/v1/"+name, ""), 0, true)); status != 404 {
				t.Errorf("%s %s: status %d", method, name, status)
			}
		}
	}
	f.wasAsked(t)
}

func TestHostNames(t *testing.T) {
	h := handler(t, newFake().config())
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:6433": 200, "[::1]:6433": 200, "::1": 200, "10.1.2.3:80": 200, "[fe80::1%25eth0]:1": 200,
		"localhost": 200, "LocalHost:6433": 200, "localhost.": 200, "pooler.example": 200, "pooler.example.:6433": 200,
		"evil.example": 421, "evil.example:6433": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"": 421, ":6433": 421, "pooler.example.evil": 421, "pooler": 421, "\x00": 421,
	} {
		for _, path := range []string{"/", "/metrics", "/livez", "/api/v1/pools"} {
			r := request("GET", path, "")
			r.Host = host
			if status, _, _ := do(t, h, r); status != want {
				t.Errorf("host %q, %s: status %d, want %d", host, path, status, want)
			}
		}
	}
	r := as(request("GET", "/livez", ""), 0, true)
	r.Host = "spillway"
	if status, _, _ := do(t, h, r); status != 200 {
		t.Errorf("the socket has no host name: status %d", status)
	}
}

// FuzzOrder: no body makes a verb act for nobody or panic.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"database":"app","timeout":"5s"}`, `{"id":18446744073709551616}`, `{"timeout":"9999999h"}`, "[", "null", `{"all":1}`, "\xff"} {
		f.Add("application/json", seed, "127.0.0.1")
	}
	f.Add("", "x", "[")
	f.Fuzz(func(t *testing.T, kind, body, host string) {
		fake := newFake()
		h := handler(t, fake.config())
		r := request("POST", "/api/v1/kill-client", body)
		r.Host = host
		r.Header.Set("Content-Type", kind)
		status, answer, _ := do(t, h, r)
		if status < 400 || !json.Valid([]byte(answer)) {
			t.Errorf("%d %s", status, answer)
		}
		fake.wasAsked(t)
		status, answer, _ = do(t, h, as(r, 0, true))
		if !json.Valid([]byte(answer)) {
			t.Errorf("%d %s", status, answer)
		}
	})
}
