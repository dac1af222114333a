package web

import (
	"strings"
	"testing"
	"time"

	"spillway/internal/proxy"
)

func TestPage(t *testing.T) {
	status, body, header := do(t, handler(t, newFake().config()), request("GET", "/", ""))
	if status != 200 || header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", status, header)
	}
	for _, want := range []string{
		"3 waiting, the oldest for 1.5 s", "celery &lt;worker&gt;", "&lt;/code&gt;", "1 min 30 s", "41.0 s", "temporary table",
		"10.0.1.1:5432", "20 %", "p99", "0.1.0", "epoll",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	for _, forbidden := range []string{"<script", "style=", "http://", "https://", "<worker>", "onclick"} {
		if strings.Contains(body, forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	policy := header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestStyle(t *testing.T) {
	status, body, header := do(t, handler(t, newFake().config()), request("GET", "/style.css", ""))
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/css") || strings.Contains(body, "url(") || strings.Contains(body, "@import") {
		t.Errorf("%d %v", status, header)
	}
}

func TestPageWithoutFacts(t *testing.T) {
	f := newFake()
	f.fail = errFake
	status, body, _ := do(t, handler(t, f.config()), request("GET", "/", ""))
	if status != 200 || !strings.Contains(body, "The event loops did not answer") {
		t.Errorf("%d %s", status, body)
	}
}

func TestVerdict(t *testing.T) {
	full := upstreamRow{UpstreamStat: proxy.UpstreamStat{Name: "main", Usable: 5, Used: 5, Waiting: 2}, Up: true}
	waiting := []proxy.PoolStat{{ClientsWaiting: 2, OldestWait: 3 * time.Second}, {ClientsWaiting: 1, OldestWait: time.Second}}
	for want, c := range map[string]struct {
		view  pageView
		pools []proxy.PoolStat
		tone  string
	}{
		"Serving: nobody waits":                                {pageView{Gauges: proxy.Gauges{State: "active"}}, nil, "ok"},
		"Serving: 1 waiting, the oldest for 10 ms":             {pageView{Gauges: proxy.Gauges{State: "active"}}, []proxy.PoolStat{{ClientsWaiting: 1, OldestWait: 10 * time.Millisecond}}, "ok"},
		"3 waiting, the oldest for 3.0 s":                      {pageView{Gauges: proxy.Gauges{State: "active"}}, waiting, "warn"},
		"main is full: 3 waiting, the oldest for 3.0 s":        {pageView{Gauges: proxy.Gauges{State: "active"}, Upstreams: []upstreamRow{full}}, waiting, "bad"},
		"paused: 3 clients waiting":                            {pageView{Gauges: proxy.Gauges{State: "paused"}}, waiting, "warn"},
		"far cannot be reached (breaker open): 0 clients wait": {pageView{Upstreams: []upstreamRow{{UpstreamStat: proxy.UpstreamStat{Name: "far", Breaker: "open"}}}}, nil, "bad"},
	} {
		if text, tone := verdict(&c.view, c.pools); text != want || tone != c.tone {
			t.Errorf("got %q (%s), want %q (%s)", text, tone, want, c.tone)
		}
	}
}

func TestShort(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0 µs": -time.Second, "17 µs": 17 * time.Microsecond, "250 ms": 250 * time.Millisecond, "1.5 s": 1500 * time.Millisecond,
		"2 min 5 s": 125 * time.Second, "3 h 4 min": 3*time.Hour + 4*time.Minute, "9 d": 220 * time.Hour,
	} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// TestPageIsBounded: ten thousand clients do not make a page of ten thousand rows.
func TestPageIsBounded(t *testing.T) {
	rows, more := firstRows(make([]clientRow, 10_000))
	if len(rows) != maxPageRows || more != 10_000-maxPageRows {
		t.Errorf("%d rows, %d more", len(rows), more)
	}
}
