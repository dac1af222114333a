package web

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"time"
)

// order is the body of a POST. Every verb takes the fields it needs; one that
// it does not know is refused.
type order struct {
	Database string `json:"database,omitempty"` // "" = all
	Timeout  string `json:"timeout,omitempty"`  // like 5s
	ID       uint64 `json:"id,omitempty"`       // of a client
	Mode     string `json:"mode,omitempty"`     // of a shutdown
	All      bool   `json:"all,omitempty"`      // kill: every database, said out loud
}

// result is what a verb answers.
type result struct {
	Done  string   `json:"done"`
	Notes []string `json:"notes,omitempty"`
}

type verb func(ctx context.Context, o order) (notes []string, refusal *problem)

// Time limits of verbs.
const (
	defaultWait = 30 * time.Second
	longestWait = 10 * time.Minute
	noteWait    = 2 * time.Second
)

// verbs by their name in the API.
func (s *Server) verbs() map[string]verb {
	v := s.config.Verbs
	return map[string]verb{
		"pause":       onDatabase(v.Pause),
		"resume":      onDatabase(v.Resume),
		"reconnect":   onDatabase(v.Reconnect),
		"wait-close":  onDatabase(v.WaitClose),
		"disable":     onNamed(v.Disable),
		"enable":      onNamed(v.Enable),
		"kill":        s.kill,
		"kill-client": s.killClient,
		"reload":      s.reload,
		"shutdown":    s.shutdown,
	}
}

func onDatabase(do func(context.Context, string) error) verb {
	return func(ctx context.Context, o order) ([]string, *problem) { return outcome(nil, do(ctx, o.Database)) }
}

func onNamed(do func(context.Context, string) error) verb {
	return func(ctx context.Context, o order) ([]string, *problem) {
		if o.Database == "" {
			return nil, &problem{http.StatusBadRequest, "a database is required", `Send {"database": "NAME"}.`}
		}
		return outcome(nil, do(ctx, o.Database))
	}
}

// kill asks for all databases by name only: it cannot be undone.
func (s *Server) kill(ctx context.Context, o order) ([]string, *problem) {
	if o.Database == "" && !o.All {
		return nil, &problem{http.StatusBadRequest, "a database is required", `Send {"database": "NAME"}, or {"all": true} for every one.`}
	}
	notes := []string{"clients are kept waiting until resume"}
	return outcome(notes, s.config.Verbs.Kill(ctx, o.Database))
}

func (s *Server) killClient(ctx context.Context, o order) ([]string, *problem) {
	if o.ID == 0 {
		return nil, &problem{http.StatusBadRequest, "a client's id is required", `Send {"id": N} with an id of /api/v1/clients.`}
	}
	return outcome(nil, s.config.Verbs.KillClient(ctx, o.ID))
}

func (s *Server) reload(ctx context.Context, _ order) ([]string, *problem) {
	notes, err := s.config.Control.Reload(ctx)
	if err != nil {
		return nil, &problem{http.StatusUnprocessableEntity, err.Error(), "Nothing has changed. spillway check shows the line."}
	}
	return notes, nil
}

func (s *Server) shutdown(_ context.Context, o order) ([]string, *problem) {
	switch o.Mode {
	case "":
		o.Mode = "wait_for_clients"
	case "immediate", "wait_for_servers", "wait_for_clients":
	default:
		return nil, &problem{http.StatusBadRequest, "unknown shutdown mode", "Use immediate, wait_for_servers or wait_for_clients."}
	}
	return outcome(nil, s.config.Control.Shutdown(o.Mode))
}

func outcome(notes []string, err error) ([]string, *problem) {
	if err != nil {
		return nil, problemOf(err)
	}
	return notes, nil
}

// act runs a verb for who may, and logs it with its outcome.
func (s *Server) act(name string, do verb) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		need := Operator
		if name == "reload" || name == "shutdown" {
			need = Admin
		}
		var o order
		var wait time.Duration
		var refusal *problem
		caller, _ := s.guard.caller(r) // permit says why not
		if caller.Role >= need {       // nobody else's body is read
			if o, wait, refusal = readOrder(w, r); refusal != nil {
				s.config.Log.Warn("verb refused", "verb", name, "from", r.RemoteAddr, "by", caller.Who, "reason", refusal.text)
				turnAway(w, r, refusal)
				return
			}
		}
		if caller, refusal = s.guard.permit(r, need, name, o.Database); refusal != nil {
			s.config.Log.Warn("verb refused", "verb", name, "from", r.RemoteAddr, "by", caller.Who, "reason", refusal.text)
			s.denied(r.URL.Path, caller, refusal)
			turnAway(w, r, refusal)
			return
		}
		deadline := time.Now().Add(wait + writeTimeout)
		control := http.NewResponseController(w)
		// The server's own limits are shorter than a verb may wait.
		_ = control.SetWriteDeadline(deadline)
		_ = control.SetReadDeadline(deadline)
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		notes, refusal := do(ctx, o)
		log := s.config.Log.With("verb", name, "by", caller.Who, "database", o.Database, "client", o.ID)
		s.told(name, caller, o, refusal)
		if refusal != nil {
			log.Warn("verb failed", "error", refusal.text)
			refusal.write(w)
			return
		}
		log.Info("verb done")
		writeJSON(w, http.StatusOK, result{name, notes})
	}
}

// told puts a verb into the record with how it went.
func (s *Server) told(name string, caller Caller, o order, refusal *problem) {
	body := map[string]any{"verb": name, "who": caller.Who, "database": o.Database, "client": o.ID}
	if refusal != nil {
		body["error"] = refusal.text
	}
	s.note("verb.asked", body)
}

// denied puts into the record who asked for what is not theirs. Callers that
// nobody knows stand in the log only: they could fill the record.
func (s *Server) denied(path string, caller Caller, refusal *problem) {
	if caller.Who != anonymous {
		s.note("request.refused", map[string]any{"path": path, "who": caller.Who, "reason": refusal.text})
	}
}

func (s *Server) note(kind string, body any) {
	if s.config.Note == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noteWait)
	defer cancel()
	if err := s.config.Note(ctx, kind, body); err != nil {
		s.config.Log.Error("event not recorded", "kind", kind, "error", err)
	}
}

// readOrder reads a body that may be empty. Only application/json is taken: a
// page elsewhere cannot send that without asking first.
func readOrder(w http.ResponseWriter, r *http.Request) (o order, wait time.Duration, refusal *problem) {
	body, refusal := readBody(w, r, maxBody)
	if refusal != nil {
		return o, 0, refusal
	}
	if len(body) > 0 {
		if refusal := decode(r, body, &o); refusal != nil {
			return o, 0, refusal
		}
	}
	wait, refusal = o.wait()
	return o, wait, refusal
}

func decode(r *http.Request, body []byte, o *order) *problem {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &problem{http.StatusUnsupportedMediaType, "the body must be application/json", ""}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(o); err != nil {
		return &problem{http.StatusBadRequest, "the body is not as expected: " + err.Error(), `It is like {"database": "app", "timeout": "5s"}.`}
	}
	if decoder.More() {
		return &problem{http.StatusBadRequest, "the body holds more than one JSON value", ""}
	}
	return nil
}

func (o order) wait() (time.Duration, *problem) {
	if o.Timeout == "" {
		return defaultWait, nil
	}
	wait, err := time.ParseDuration(o.Timeout)
	if err != nil || wait <= 0 || wait > longestWait {
		return 0, &problem{http.StatusBadRequest, "the timeout is not a duration of up to 10m", "Write it like 500ms, 5s or 2m."}
	}
	return wait, nil
}
