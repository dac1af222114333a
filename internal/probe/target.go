package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"spillway/internal/sample"
)

// TargetConfig is an address that is looked at as a load balancer does.
type TargetConfig struct {
	Name, Group string
	URL         string // http://, https:// or tcp://host:port
	Status      int    // the answer of a healthy one; 0: any below 400
	Insecure    bool   // do not verify the certificate
	Timeout     time.Duration
	Every       time.Duration
}

// Target looks at one address.
type Target struct {
	config TargetConfig
	client *http.Client

	mu   sync.Mutex // guards seen
	seen sample.Target
}

// bodyRead is how much of an answer is read, so that the connection can be used
// again.
const bodyRead = 64 << 10

// NewTarget makes the probe of one address. No redirect is followed: where it
// leads is another target.
func NewTarget(c TargetConfig) *Target {
	transport := &http.Transport{
		MaxIdleConns: 1, IdleConnTimeout: 2 * c.Every, TLSHandshakeTimeout: c.Timeout,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: c.Insecure}, //nolint:gosec // asked for in the config
	}
	return &Target{config: c, seen: sample.Target{Name: c.Name, Group: c.Group, Address: shown(c.URL)}, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// shown is an address without its password and parameters.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// Probe is what a Runner runs. A target that does not answer is a fact, not a
// probe that failed.
func (t *Target) Probe() Probe {
	return Probe{Name: "target " + t.config.Name, Every: t.config.Every, Timeout: t.config.Timeout + time.Second, Run: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, t.config.Timeout)
		defer cancel()
		began := time.Now()
		t.note(began, t.look(ctx))
		return nil
	}}
}

// Seen is how the target was last seen; not ok before the first look.
func (t *Target) Seen() (sample.Target, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen, !t.seen.At.IsZero()
}

// Close drops kept connections.
func (t *Target) Close() { t.client.CloseIdleConnections() }

func (t *Target) note(began time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.seen
	was := s.Up
	s.At = time.Now()
	s.Took = s.At.Sub(began)
	s.Up = err == nil
	if s.Up {
		s.Failed, s.Error = 0, ""
	} else {
		s.Failed++
		s.Error = err.Error()
	}
	if was != s.Up || s.Since.IsZero() {
		s.Since = began
	}
}

func (t *Target) look(ctx context.Context) error {
	if address, ok := strings.CutPrefix(t.config.URL, "tcp://"); ok {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return plain(ctx, err)
		}
		return conn.Close()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.config.URL, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("User-Agent", "spillway")
	answer, err := t.client.Do(request)
	if err != nil {
		return plain(ctx, err)
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, bodyRead)
	if want := t.config.Status; want != 0 && answer.StatusCode != want || want == 0 && answer.StatusCode >= 400 {
		return fmt.Errorf("answers %s", answer.Status)
	}
	return nil
}

// plain drops the address, which is said beside it, from an error.
func plain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("does not answer in time")
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
