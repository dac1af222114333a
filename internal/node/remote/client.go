package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// maxAnswer bounds what is read of an answer: 64 MiB hold the rows of some
// hundred thousand clients.
const maxAnswer = 64 << 20

// Client asks one node, over its admin socket or its admin address. Safe from
// any goroutine.
type Client struct {
	place string // the socket's path, or the address, for errors
	base  string // URL of the API's root
	token string // "" over the socket
	http  *http.Client
}

// Listing is what the API answers to a question for facts.
type Listing struct {
	At    time.Time       `json:"at"` // when the node read them
	Items json.RawMessage `json:"items"`
}

// New makes a client of the node whose admin socket has this path; it connects
// when asked.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{place: socket, base: "http://localhost", http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// NewAt makes a client of the node whose admin address is a URL, with the token
// to send. A token is never sent on to another host.
func NewAt(address, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		// It is not repeated: it may hold a password.
		return nil, errors.New("the address is not like https://db-1:6433; a token goes into SPILLWAY_TOKEN or --token-file")
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{place: u.Host, base: u.Scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/"), token: token,
		http: &http.Client{CheckRedirect: stay, Transport: &http.Transport{DisableKeepAlives: true}}}, nil
}

// Facts reads the facts of that name.
func (c *Client) Facts(ctx context.Context, name string) (Listing, error) {
	raw, err := c.ask(ctx, http.MethodGet, name, nil)
	if err != nil {
		return Listing{}, fmt.Errorf("read %s: %w", name, err)
	}
	var facts Listing
	if err := json.Unmarshal(raw, &facts); err != nil {
		return Listing{}, fmt.Errorf("read %s: the node's answer is not as expected: %w", name, err)
	}
	return facts, nil
}

// Do asks for a verb with its arguments, nil for none, and returns the node's notes.
func (c *Client) Do(ctx context.Context, verb string, arguments any) (notes []string, err error) {
	body, err := json.Marshal(arguments)
	if err != nil {
		return nil, fmt.Errorf("%s: write arguments: %w", verb, err)
	}
	if arguments == nil {
		body = nil
	}
	raw, err := c.ask(ctx, http.MethodPost, verb, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	var answer struct {
		Notes []string `json:"notes"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("%s: the node's answer is not as expected: %w", verb, err)
	}
	return answer.Notes, nil
}

// Call asks method and path with body as JSON, nil for none, and reads the
// answer into value, nil to leave it.
func (c *Client) Call(ctx context.Context, method, path string, body, value any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("write request: %w", err)
		}
	}
	raw, err := c.ask(ctx, method, path, text)
	if err != nil || value == nil {
		return err
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("read %s: the node's answer is not as expected: %w", path, err)
	}
	return nil
}

func (c *Client) ask(ctx context.Context, method, name string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("the node's answer is longer than %d bytes", maxAnswer)
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusal(response.StatusCode, answer)
	}
	return answer, nil
}

// unreachable says in words what a person can do about it.
func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the node at %s did not answer in time", c.place)
	case c.token != "" || c.base != "http://localhost":
		return fmt.Errorf("the node at %s cannot be reached: %w", c.place, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no node has its admin socket at %s; is it running, and is this its data_dir?", c.place)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no node listens on %s any more; is it running?", c.place)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the admin socket %s is for root and the user Spillway runs as; use sudo", c.place)
	}
	return err
}

// refusal is the API's own error with its hint.
func refusal(status int, answer []byte) error {
	var problem struct{ Error, Hint string }
	if json.Unmarshal(answer, &problem) != nil || problem.Error == "" {
		return fmt.Errorf("the node answered with HTTP status %d", status)
	}
	if problem.Hint != "" {
		return fmt.Errorf("%s (%s)", problem.Error, problem.Hint)
	}
	return errors.New(problem.Error)
}
