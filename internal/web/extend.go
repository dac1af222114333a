package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Role is what a caller may do; each holds what the one before may.
type Role uint8

// Roles.
const (
	Viewer   Role = iota // read
	Operator             // contain: pause, limit, kill, ban, note
	Admin                // everything
)

// Caller is who asks, as the log names them.
type Caller struct {
	Who  string // "uid 0", or the name of a token; "anonymous" for readers without one
	Role Role
	// Scope narrows what a token may do below its role: globs of ACTION or
	// ACTION:SUBJECT. Empty: all of the role.
	Scope []string
}

// Ask is one request to a Route.
type Ask struct {
	Caller Caller
	Query  url.Values
	Header http.Header
	Body   []byte // at most MaxBody of the Route; owned by the callee

	request *http.Request
}

// Path returns the part of the path that the route's {name} stands for.
func (a *Ask) Path(name string) string { return a.request.PathValue(name) }

// Decode reads the body strictly as one JSON value: no unknown field, no
// second value, and only when it is declared as application/json. An empty
// body leaves into as it is. The error is a refusal, to be returned as it is.
func (a *Ask) Decode(into any) error {
	if len(a.Body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return Refuse(http.StatusUnsupportedMediaType, "the body must be application/json", "")
	}
	decoder := json.NewDecoder(bytes.NewReader(a.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return Refuse(http.StatusBadRequest, "the body is not as expected: "+err.Error(), "")
	}
	if decoder.More() {
		return Refuse(http.StatusBadRequest, "the body holds more than one JSON value", "")
	}
	return nil
}

// Route is a path of the API that another room answers; node joins them in.
type Route struct {
	Method  string // GET, POST, …
	Path    string // below /api/v1/, with the wildcards of http.ServeMux
	Role    Role   // the least that may ask
	MaxBody int64  // bytes; 0 = 64 KiB
	// Wait is how long Answer may take; 0 = 30 s. Its context ends then.
	Wait time.Duration
	// Public routes do not ask for a role: Answer verifies the sender itself
	// (a signature, a token of its own).
	Public bool
	// Admit, where it is set, is asked before the body is read: a stranger's body
	// is not worth the memory. An error is answered as one of Answer's.
	Admit func(a *Ask) error
	// OwnScope: Answer looks at the caller's scope itself. Otherwise the scope of
	// who acts must cover the path below /api/v1/.
	OwnScope bool
	// Answer's value is written as JSON with status 200; a json.RawMessage or a
	// Document as it is. An error made by Refuse keeps its status, any other is 409.
	Answer func(ctx context.Context, a *Ask) (any, error)
}

// Document is an answer that is not JSON.
type Document struct {
	ContentType string
	Body        []byte
}

// Refusal is an error with an HTTP status and a hint how to mend it.
type Refusal struct{ problem }

// Error implements error.
func (r *Refusal) Error() string { return r.text }

// Refuse makes the error that answers a request with status.
func Refuse(status int, text, hint string) error { return &Refusal{problem{status, text, hint}} }

// extend joins the rooms' routes to the mux.
func (s *Server) extend(mux *http.ServeMux) {
	for _, route := range s.config.Routes {
		mux.HandleFunc(route.Method+" /api/v1/"+route.Path, s.answer(route))
	}
}

// public reports whether a request is for a public route.
func (s *Server) public(mux *http.ServeMux) func(*http.Request) bool {
	patterns := map[string]bool{}
	for _, route := range s.config.Routes {
		if route.Public {
			patterns[route.Method+" /api/v1/"+route.Path] = true
		}
	}
	return func(r *http.Request) bool {
		if len(patterns) == 0 {
			return false
		}
		_, pattern := mux.Handler(r)
		return patterns[pattern]
	}
}

func (s *Server) answer(route Route) http.HandlerFunc {
	if route.MaxBody == 0 {
		route.MaxBody = maxBody
	}
	if route.Wait == 0 {
		route.Wait = defaultWait
	}
	pace := newGate()
	return func(w http.ResponseWriter, r *http.Request) {
		caller, refusal := s.guard.caller(r)
		if !route.Public && route.Role > Viewer {
			scoped := caller.Scope
			if route.OwnScope {
				scoped = nil
			}
			if caller.Role < route.Role || !(&Caller{Scope: scoped}).May(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "") {
				if refusal == nil {
					refusal = &problem{http.StatusForbidden, fmt.Sprintf("this needs the role %s and the scope for it; %s has %s", route.Role, caller.Who, caller.Role), ""}
				}
				s.config.Log.Warn("request refused", "path", r.URL.Path, "from", r.RemoteAddr, "by", caller.Who, "reason", refusal.text)
				s.denied(r.URL.Path, caller, refusal)
				turnAway(w, r, refusal)
				return
			}
		}
		ask := &Ask{caller, r.URL.Query(), r.Header, nil, r}
		if route.Admit != nil {
			if err := route.Admit(ask); err != nil {
				leaveBody(w, r)
				writeAnswer(w, nil, err)
				linger(w, r)
				return
			}
		}
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(readTimeout))
		_ = control.SetWriteDeadline(time.Now().Add(route.Wait + writeTimeout))
		body, refusal := readBody(w, r, route.MaxBody)
		if refusal != nil {
			s.config.Log.Warn("request refused", "path", r.URL.Path, "from", r.RemoteAddr, "by", caller.Who, "reason", refusal.text)
			turnAway(w, r, refusal)
			return
		}
		ask.Body = body
		ctx, cancel := context.WithTimeout(r.Context(), route.Wait)
		defer cancel()
		answer := route.Answer
		if route.Method == http.MethodGet && caller.Role < Operator && !originOf(r).local {
			answer = pace.paced(answer)
		}
		value, err := answer(ctx, ask)
		writeAnswer(w, value, err)
	}
}

// paced makes what strangers ask for one at a time, with the same rests as
// readings: the rooms' answers ask the loops, too.
func (g *gate) paced(answer func(context.Context, *Ask) (any, error)) func(context.Context, *Ask) (any, error) {
	return func(ctx context.Context, a *Ask) (any, error) {
		if err := g.enter(ctx); err != nil {
			return nil, Refuse(http.StatusServiceUnavailable, "too many ask for this", "Ask again, or with a token.")
		}
		defer g.leave()
		return answer(ctx, a)
	}
}

// turnAway refuses a request whose body is not read to its end.
func turnAway(w http.ResponseWriter, r *http.Request, p *problem) {
	leaveBody(w, r)
	p.write(w)
	linger(w, r)
}

// leaveBody ends the connection after the answer: net/http would first wait for
// a body that nobody wants.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).EnableFullDuplex() // see linger; in vain for HTTP/1.0
	}
}

// Bounds on what is read of a body that is not wanted.
const (
	lingerBytes = 16 << 20
	lingerTime  = 2 * time.Second
)

// linger sends the answer and then reads on for a moment: a sender whose
// connection is closed while it still writes sees a reset instead of the answer.
func linger(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if r.ContentLength == 0 || control.Flush() != nil {
		return
	}
	_ = control.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, r.Body, lingerBytes) // however it ends
}

// readBody reads a body of at most limit bytes, within the time that is set. The
// caller turns away what is refused.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *problem) {
	tooLong := &problem{http.StatusRequestEntityTooLarge, "the body is too large", fmt.Sprintf("It may have %d bytes.", limit)}
	if r.ContentLength > limit {
		return nil, tooLong
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, tooLong
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &problem{http.StatusRequestTimeout, "the body did not come in time", ""}
	case err != nil:
		return nil, &problem{http.StatusBadRequest, "the body cannot be read", ""}
	}
	return body, nil
}

func writeAnswer(w http.ResponseWriter, value any, err error) {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		refusal.write(w)
	case err != nil:
		problemOf(err).write(w)
	default:
		if d, ok := value.(Document); ok {
			w.Header().Set("Content-Type", d.ContentType)
			w.Header().Set("Cache-Control", "no-store")
			_, _ = w.Write(d.Body)
			return
		}
		writeJSON(w, http.StatusOK, value)
	}
}
