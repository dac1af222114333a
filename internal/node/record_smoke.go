package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"spillway/internal/config"
	"spillway/internal/record"
)

// smokeChecks are those of a config, by name.
func smokeChecks(c *config.Config) []record.Check {
	var checks []record.Check
	for _, name := range slices.Sorted(maps.Keys(c.SmokeChecks)) {
		checks = append(checks, &smokeCheck{name: name, SmokeCheck: c.SmokeChecks[name]})
	}
	return checks
}

// smokeCheck asks one thing of the service.
type smokeCheck struct {
	name string
	*config.SmokeCheck
}

// mostAnswer is how much of a body is looked at.
const mostAnswer = 1 << 20

// Name implements record.Check.
func (s *smokeCheck) Name() string { return s.name }

// Run implements record.Check. Its errors never show the URL.
func (s *smokeCheck) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	u, err := url.Parse(s.URL)
	if err != nil {
		return fmt.Errorf("the url cannot be read")
	}
	switch u.Scheme {
	case "http", "https":
		return s.http(ctx)
	case "tcp":
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		return conn.Close()
	}
	return s.postgres(ctx)
}

func (s *smokeCheck) http(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return fmt.Errorf("the url cannot be asked")
	}
	request.Header.Set("User-Agent", "spillway smoke check")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		var inner *url.Error // its text holds the URL
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return fmt.Errorf("ask: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != s.Status {
		return fmt.Errorf("status is %d, not %d", response.StatusCode, s.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return s.holds(string(body))
}

func (s *smokeCheck) postgres(ctx context.Context) error {
	login, err := pgx.ParseConfig(s.URL)
	if err != nil {
		return fmt.Errorf("the url cannot be read")
	}
	conn, err := pgx.ConnectConfig(ctx, login)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	rows, err := conn.Query(ctx, s.Query)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer rows.Close()
	first := ""
	if rows.Next() {
		if raw := rows.RawValues(); len(raw) > 0 {
			if values, err := rows.Values(); err == nil && values[0] != nil {
				first = fmt.Sprint(values[0])
			}
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	return s.holds(first)
}

// holds looks for what is expected.
func (s *smokeCheck) holds(answer string) error {
	if s.Expect != "" && !strings.Contains(answer, s.Expect) {
		return fmt.Errorf("the answer does not hold %q", s.Expect)
	}
	return nil
}
