package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"spillway/internal/proxy"
)

// problem is an error as the API tells it.
type problem struct {
	status int
	text   string
	hint   string
}

type problemView struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

func refuse(w http.ResponseWriter, status int, text, hint string) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, status, problemView{text, hint})
}

func (p *problem) write(w http.ResponseWriter) { refuse(w, p.status, p.text, p.hint) }

// writeJSON writes a value. A client that has gone is nobody's problem.
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	body = append(body, '\n')
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// problemOf is what the API says of an error of the proxy or the process.
func problemOf(err error) *problem {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{http.StatusGatewayTimeout, "not complete within the time limit", "Ask for a longer timeout, or see who still holds a server."}
	case errors.Is(err, context.Canceled):
		return &problem{http.StatusServiceUnavailable, "the request was given up", ""}
	case errors.Is(err, proxy.ErrNoDatabase):
		return &problem{http.StatusNotFound, err.Error(), "See /api/v1/databases."}
	case errors.Is(err, proxy.ErrNoClient):
		return &problem{http.StatusNotFound, err.Error(), "It may have gone. See /api/v1/clients."}
	}
	return &problem{http.StatusConflict, err.Error(), ""}
}
