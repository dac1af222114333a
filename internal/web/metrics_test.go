package web

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"spillway/internal/proxy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it):\ngot:\n%s", path, got)
	}
}

// registered is a registry that checks what a collector sends against what it
// described.
func registered(t *testing.T, c Config) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(newCollector(c)); err != nil {
		t.Fatal(err)
	}
	return registry
}

func TestMetricsLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(registered(t, newFake().config()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

var goVersion = regexp.MustCompile(`goversion="[^"]*"`)

// scrape is /metrics without the runtime's own.
func scrape(t *testing.T, c Config) string {
	t.Helper()
	status, body, _ := do(t, handler(t, c), request("GET", "/metrics", ""))
	if status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	lines := slices.DeleteFunc(strings.SplitAfter(body, "\n"), func(line string) bool {
		return !strings.Contains(line, "spillway_")
	})
	return goVersion.ReplaceAllString(strings.Join(lines, ""), `goversion="go"`)
}

func TestMetricsGolden(t *testing.T) { golden(t, "metrics.txt", scrape(t, newFake().config())) }

// TestMetricsLabels: no statement, no pid, no address in any label.
func TestMetricsLabels(t *testing.T) {
	body := scrape(t, newFake().config())
	for _, forbidden := range []string{"update jobs", "1001", "10.0.0.6", "celery", "password authentication"} {
		if strings.Contains(body, forbidden) {
			t.Errorf("metrics show %q", forbidden)
		}
	}
	allowed := map[string]bool{
		"database": true, "user": true, "state": true, "reason": true, "upstream": true, "le": true,
		"workload": true, "version": true, "kind": true, "revision": true, "goversion": true, "driver": true,
	}
	for _, label := range regexp.MustCompile(`[{,]([a-z_]+)="`).FindAllStringSubmatch(body, -1) {
		if !allowed[label[1]] {
			t.Errorf("unknown label %s", label[1])
		}
	}
}

// TestMetricsWithoutFacts: old numbers are not repeated when the loops do not
// answer, and one metric says so.
func TestMetricsWithoutFacts(t *testing.T) {
	f := newFake()
	f.fail, f.dead, f.closed, f.reloadFail = errFake, true, true, errFake
	golden(t, "metrics_without_facts.txt", scrape(t, f.config()))
	if problems, err := testutil.GatherAndLint(registered(t, f.config())); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// TestMetricsBadNames: a user whose name is not UTF-8 costs its own metrics,
// not the scrape.
func TestMetricsBadNames(t *testing.T) {
	f := newFake()
	f.databases = append(f.databases, proxy.DatabaseStat{Name: "\xff\xfe"})
	if body := scrape(t, f.config()); !strings.Contains(body, `spillway_database_paused{database="app"} 0`) {
		t.Errorf("got %s", body)
	}
}

func TestMetricsNegotiation(t *testing.T) {
	h := handler(t, newFake().config())
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4",
		"application/openmetrics-text; version=1.0.0; escaping=underscores": "application/openmetrics-text; version=1.0.0",
	} {
		r := request("GET", "/metrics", "")
		r.Header.Set("Accept", accept)
		_, body, header := do(t, h, r)
		if got := header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("accept %q: got %q", accept, got)
		}
		if open := strings.HasSuffix(body, "# EOF\n"); open != strings.Contains(want, "openmetrics") {
			t.Errorf("accept %q: ends with # EOF: %v", accept, open)
		}
	}
}

// TestHistogram: the coarser buckets count what the proxy's own count below
// the same bounds, and lose nothing.
func TestHistogram(t *testing.T) {
	var h proxy.Histogram
	for ns := int64(1); ns < 1<<40; ns = ns*3/2 + 1 {
		h.Observe(ns)
	}
	desc := prometheus.NewDesc("x_seconds", "x", nil, nil)
	sent := make(chan prometheus.Metric, 1)
	(&sample{sink: sent}).histogram(desc, &h)
	got := written(t, <-sent).GetHistogram()
	if got.GetSampleCount() != h.Count() || got.GetSampleSum() != float64(h.SumNanos)/1e9 {
		t.Errorf("count %d of %d, sum %v", got.GetSampleCount(), h.Count(), got.GetSampleSum())
	}
	bounds := proxy.HistogramBounds()
	for i, bucket := range got.GetBucket() {
		if i > 0 && bucket.GetUpperBound() != 2*got.GetBucket()[i-1].GetUpperBound() {
			t.Errorf("bound %v is not twice the one before", bucket.GetUpperBound())
		}
		var want uint64
		for j, bound := range bounds {
			if bound <= bucket.GetUpperBound() {
				want += h.Counts[j]
			}
		}
		if bucket.GetCumulativeCount() != want {
			t.Errorf("below %v: %d, want %d", bucket.GetUpperBound(), bucket.GetCumulativeCount(), want)
		}
	}
	if last := got.GetBucket()[len(got.GetBucket())-1].GetUpperBound(); last != bounds[len(bounds)-1] {
		t.Errorf("the last bound is %v, want %v", last, bounds[len(bounds)-1])
	}
}

func TestQuantile(t *testing.T) {
	var h proxy.Histogram
	if got := quantile(&h, 0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for range 99 {
		h.Observe(1e6)
	}
	h.Observe(1e9)
	for q, atLeast := range map[float64]float64{0.5: 1e-3, 0.99: 1e-3, 1: 1} {
		if got := quantile(&h, q); got < atLeast || got > 1.25*atLeast {
			t.Errorf("quantile %v is %v", q, got)
		}
	}
	h.Observe(1 << 50)
	if got := quantile(&h, 1); got < 100 || got > 1e3 {
		t.Errorf("above all bounds: %v", got)
	}
}
