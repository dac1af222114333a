package web

import (
	"bytes"
	"cmp"
	"context"
	_ "embed" // the page's template and style
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"spillway/internal/proxy"
)

//go:embed page.html
var pageSource string

//go:embed style.css
var styleSource []byte

// maxPageRows bounds each table of the page; it says what it leaves out.
const maxPageRows = 100

// pageView is what the template shows.
type pageView struct {
	At        time.Time
	Build     Build
	Verdict   string
	Tone      string // ok, warn or bad
	Gauges    proxy.Gauges
	Uptime    string
	Findings  []findingRow
	Upstreams []upstreamRow
	Workloads []workloadRow
	Pools     []poolRow
	Waiting   []clientRow
	Holders   []clientRow
	MorePools int
	MoreHeld  int
	MoreWait  int
	Checks    []check
	Stale     bool // the event loops did not answer
}

type upstreamRow struct {
	proxy.UpstreamStat
	Up    bool
	Share int // used slots in percent
}

type findingRow struct {
	Finding
	For string
}

type workloadRow struct {
	proxy.WorkloadStat
	Bound int // in use of what it is bound by, in percent
}

type poolRow struct {
	proxy.PoolStat
	ModeName       string
	Used           int // servers that are out
	WaitP99, TxP99 string
	ClientsOpen    int
}

type clientRow struct {
	proxy.ConnStat
	Wait, Held, InTx string
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), factsTimeout)
	defer cancel()
	view := s.pageView(ctx)
	var out bytes.Buffer
	if err := s.template.Execute(&out, view); err != nil {
		s.config.Log.Error("page not written", "error", err)
		refuse(w, http.StatusInternalServerError, "the page cannot be written", "See /api/v1/pools.")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes())
}

func style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=300")
	_, _ = w.Write(styleSource)
}

func parsePage() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"short": short,
		"wait": func(d time.Duration) string {
			if d <= 0 {
				return "–"
			}
			return short(d)
		},
		"clock": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}).Parse(pageSource)
}

func (s *Server) pageView(ctx context.Context) pageView {
	f := s.config.Facts
	gauges, errGauges := f.Gauges(ctx)
	pools, errPools := f.Pools(ctx)
	clients, errClients := f.Clients(ctx)
	upstreams, errUpstreams := f.Upstreams(ctx)
	workloads, errWorkloads := f.Workloads(ctx)
	servers, errServers := f.Servers(ctx)
	clients = withStatements(clients, servers)
	at := time.Now()
	view := pageView{
		At: at, Build: s.config.Build, Gauges: gauges, Checks: s.checks(ctx),
		Stale: errors.Join(errGauges, errPools, errClients, errUpstreams, errWorkloads, errServers) != nil,
	}
	if !gauges.StartedAt.IsZero() {
		view.Uptime = short(at.Sub(gauges.StartedAt))
	}
	for _, u := range upstreams {
		view.Upstreams = append(view.Upstreams, upstreamRow{u, upstreamUp(u), percent(u.Used, u.Usable)})
	}
	slices.SortFunc(view.Upstreams, func(a, b upstreamRow) int { return cmp.Compare(a.Name, b.Name) })
	for _, w := range workloads {
		bound := w.Limit
		if bound == 0 {
			bound = w.Share
		}
		view.Workloads = append(view.Workloads, workloadRow{w, percent(w.InUse, bound)})
	}
	if s.config.Findings != nil {
		for _, f := range s.config.Findings() {
			view.Findings = append(view.Findings, findingRow{f, since(at, f.Since)})
		}
	}
	view.Findings, _ = firstRows(view.Findings)
	view.Pools, view.MorePools = firstRows(poolRows(pools))
	holders, waiting := clientRows(at, clients)
	view.Holders, view.MoreHeld = firstRows(holders)
	view.Waiting, view.MoreWait = firstRows(waiting)
	view.Verdict, view.Tone = verdict(&view, pools)
	return view
}

// withStatements are the clients with the last statement of the server they
// hold. Readings are shared between requests: they are not written to.
func withStatements(clients, servers []proxy.ConnStat) []proxy.ConnStat {
	clients = slices.Clone(clients)
	last := make(map[uint64]string, len(servers))
	for i := range servers {
		if s := &servers[i]; s.Link != 0 {
			last[s.Link] = s.SQL
		}
	}
	for i := range clients {
		if c := &clients[i]; c.SQL == "" {
			c.SQL = last[c.ID]
		}
	}
	return clients
}

func poolRows(pools []proxy.PoolStat) []poolRow {
	rows := make([]poolRow, 0, len(pools))
	for i := range pools {
		p := &pools[i]
		rows = append(rows, poolRow{
			PoolStat: *p, ModeName: modeName(p.Mode),
			Used:        p.ServersActive + p.ServersActiveCancel + p.ServersBeingCanceled,
			ClientsOpen: p.ClientsActive + p.ClientsWaiting + p.ClientsIdle,
			WaitP99:     latency(&p.Wait), TxP99: latency(&p.Transaction),
		})
	}
	slices.SortFunc(rows, func(a, b poolRow) int {
		return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.User, b.User))
	})
	return rows
}

func latency(h *proxy.Histogram) string {
	if h.Count() == 0 {
		return "–"
	}
	return short(time.Duration(quantile(h, 0.99) * float64(time.Second)))
}

// clientRows are those that hold a server and those that wait for one, each
// the longest first.
func clientRows(now time.Time, clients []proxy.ConnStat) (holders, waiting []clientRow) {
	for _, c := range clients {
		row := clientRow{ConnStat: c, Wait: short(c.Wait), Held: since(now, c.CheckedOutAt), InTx: since(now, c.TransactionAt)}
		switch {
		case c.Link != 0:
			holders = append(holders, row)
		case c.State == "waiting":
			waiting = append(waiting, row)
		}
	}
	slices.SortFunc(holders, func(a, b clientRow) int {
		return cmp.Or(a.CheckedOutAt.Compare(b.CheckedOutAt), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(waiting, func(a, b clientRow) int {
		return cmp.Or(cmp.Compare(b.ConnStat.Wait, a.ConnStat.Wait), cmp.Compare(a.ID, b.ID))
	})
	return holders, waiting
}

func firstRows[Row any](rows []Row) (first []Row, more int) {
	n := min(len(rows), maxPageRows)
	return rows[:n], len(rows) - n
}

// longWait is what nobody calls normal; alarms begin there too.
const longWait = time.Second

// verdict is the page in one sentence, with how bad it is.
func verdict(v *pageView, pools []proxy.PoolStat) (text, tone string) {
	var waiting int
	var oldest time.Duration
	for _, p := range pools {
		waiting += p.ClientsWaiting
		oldest = max(oldest, p.OldestWait)
	}
	for _, u := range v.Upstreams {
		if !u.Up {
			return fmt.Sprintf("%s cannot be reached (breaker %s): %d clients wait", u.Name, u.Breaker, waiting), "bad"
		}
	}
	queue := fmt.Sprintf("%d waiting, the oldest for %s", waiting, short(oldest))
	switch {
	case v.Stale:
		return "The event loops did not answer: what is shown is not complete", "bad"
	case v.Gauges.State != "active":
		return fmt.Sprintf("%s: %d clients waiting", v.Gauges.State, waiting), "warn"
	case full(v.Upstreams) != "":
		return full(v.Upstreams) + " is full: " + queue, "bad"
	case oldest >= longWait:
		return queue, "warn"
	case len(v.Findings) > 0:
		if v.Findings[0].Page {
			return v.Findings[0].Summary, "bad"
		}
		return v.Findings[0].Summary, "warn"
	case waiting > 0:
		return "Serving: " + queue, "ok"
	}
	return "Serving: nobody waits", "ok"
}

func full(upstreams []upstreamRow) string {
	for _, u := range upstreams {
		if u.Usable > 0 && u.Used >= u.Usable && u.Waiting > 0 {
			return u.Name
		}
	}
	return ""
}

func percent(part, whole int) int {
	if whole <= 0 {
		return 0
	}
	return min(100, part*100/whole)
}

func since(now, then time.Time) string {
	if then.IsZero() {
		return "–"
	}
	return short(now.Sub(then))
}

// short is a duration with two or three digits that matter.
func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}
