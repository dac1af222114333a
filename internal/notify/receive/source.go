package receive

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"spillway/internal/notify/alarm"
)

// Kind is what a source speaks.
type Kind string

// Kinds.
const (
	Alertmanager Kind = "alertmanager"
	SNS          Kind = "sns"
	Webhook      Kind = "webhook"
)

// MaxBody is the longest body taken, in bytes. SNS sends up to 256 KiB;
// Alertmanager's groups are cut by its max_alerts.
const MaxBody = 1 << 20

// Source is a monitor that may send alarms.
type Source struct {
	Name   string
	Kind   Kind
	Token  string      // "" refuses everything, but for SNS, which signs
	Key    string      // webhook: key of the signature; "" = none is asked for
	Topics []string    // SNS: the topics that are taken
	Level  alarm.Level // of what does not say
}

// Refusal says why something was not taken, with its HTTP status.
type Refusal struct {
	Status int
	Text   string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

func refuse(status int, format string, values ...any) error {
	return &Refusal{status, fmt.Sprintf(format, values...)}
}

// Config is what a Receiver is made of.
type Config struct {
	// Found hears of every alarm that was taken.
	Found func(alarm.Alarm)
	Note  func(kind string, body any) // into the record
	// HTTP fetches certificates and confirms subscriptions; nil is a client of
	// its own that follows no redirect.
	HTTP *http.Client
	Log  *slog.Logger
}

// Receiver takes alarms. Its methods are safe from any goroutine.
type Receiver struct {
	config  Config
	sources atomic.Pointer[map[string]Source]
	certs   certificates
	seen    *memory

	mu     sync.Mutex
	counts map[Count]uint64 // guarded by mu
}

// Count names one counter: results are taken, repeated and refused.
type Count struct{ Source, Result string }

// New makes a receiver without sources.
func New(c Config) *Receiver {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Note == nil {
		c.Note = func(string, any) {}
	}
	if c.HTTP == nil {
		c.HTTP = newHTTP()
	}
	r := &Receiver{config: c, seen: newMemory(), counts: map[Count]uint64{}}
	r.certs.fetch = r.get
	r.Keep(nil)
	return r
}

// Keep takes the sources that hold from now on.
func (r *Receiver) Keep(sources []Source) {
	byName := make(map[string]Source, len(sources))
	for _, s := range sources {
		byName[s.Name] = s
	}
	r.sources.Store(&byName)
}

// Close gives connections back.
func (r *Receiver) Close() { r.config.HTTP.CloseIdleConnections() }

// unknownSource counts what comes to sources that are not there: a stranger
// must not make a counter for each name that it thinks of.
const unknownSource = "(unknown)"

// Admit says, before a body is read, whether the sender may send. The error is
// a *Refusal; it does not tell whether a source of that name exists.
func (r *Receiver) Admit(name string, header http.Header) error {
	s, known := (*r.sources.Load())[name]
	if !known {
		return r.refused(unknownSource, refuse(http.StatusUnauthorized, "there is no such source, or its token is wrong"))
	}
	if s.Kind == SNS && s.Token == "" {
		return nil // its signature is asked for
	}
	if s.Token == "" || !sameSecret(bearer(header), s.Token) {
		return r.refused(name, refuse(http.StatusUnauthorized, "there is no such source, or its token is wrong"))
	}
	return nil
}

// bearer is the token of a request: Authorization: Bearer TOKEN, or the
// password of Basic, which is all that SNS can send.
func bearer(header http.Header) string {
	scheme, rest, _ := strings.Cut(header.Get("Authorization"), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return rest
	case strings.EqualFold(scheme, "Basic"):
		text, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(text), ":")
		return password
	}
	return ""
}

func sameSecret(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Message is one request.
type Message struct {
	Source string
	Header http.Header
	Body   []byte // at most MaxBody
}

// Taken is what became of a message.
type Taken struct {
	Alarms   int `json:"alarms"`   // taken
	Repeated int `json:"repeated"` // known already
}

// Take takes a message in. The error is a *Refusal.
func (r *Receiver) Take(ctx context.Context, m Message) (Taken, error) {
	if err := r.Admit(m.Source, m.Header); err != nil {
		return Taken{}, err
	}
	s := (*r.sources.Load())[m.Source]
	var taken Taken
	var err error
	switch s.Kind {
	case Alertmanager:
		taken, err = r.alertmanager(s, m.Body)
	case SNS:
		taken, err = r.sns(ctx, s, m)
	case Webhook:
		taken, err = r.webhook(s, m)
	default:
		err = refuse(http.StatusUnauthorized, "there is no such source, or its token is wrong")
	}
	if err != nil {
		return Taken{}, r.refused(s.Name, err)
	}
	r.count(s.Name, "taken", taken.Alarms)
	r.count(s.Name, "repeated", taken.Repeated)
	return taken, nil
}

func (r *Receiver) refused(source string, err error) error {
	r.count(source, "refused", 1)
	r.config.Log.Warn("alarm refused", "source", source, "reason", err)
	return err
}

func (r *Receiver) count(source, result string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[Count{source, result}] += uint64(n)
}

// Counts are the counters since the start.
func (r *Receiver) Counts() map[Count]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[Count]uint64, len(r.counts))
	for c, n := range r.counts {
		all[c] = n
	}
	return all
}

// found passes an alarm on, once.
func (r *Receiver) found(s Source, id string, a alarm.Alarm, t *Taken) {
	if !r.seen.first(s.Name + "\x00" + id) {
		t.Repeated++
		return
	}
	t.Alarms++
	a.Foreign, a.Detector = true, "foreign-alarm"
	a.Key = "foreign/" + s.Name + "/" + a.Key
	if a.Level != alarm.Page && a.Level != alarm.Warn {
		a.Level = s.Level
	}
	a = a.Bounded()
	r.config.Note("alarm.received", map[string]any{"source": s.Name, "alarm": a})
	r.config.Found(a)
}
