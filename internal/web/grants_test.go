package web

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func token(name string, role Role, scope ...string) Token {
	return Token{Name: name, Hash: sha256.Sum256([]byte(name)), Role: role, Scope: scope}
}

// TestGrants asks as everybody: role, scope and expiry of tokens, peers by uid.
func TestGrants(t *testing.T) {
	f := newFake()
	c := f.config()
	expired := token("expired", Admin)
	expired.Until = time.Now().Add(-time.Second)
	future := token("future", Operator)
	future.Until = time.Now().Add(time.Hour)
	me := uint32(os.Geteuid())
	c.Grants = Grants{
		Tokens: []Token{token("viewer", Viewer), token("operator", Operator), token("admin", Admin), expired, future,
			token("scoped", Operator, "pause:app", "things/*")},
		Peers: map[uint32]Caller{me + 1: {Who: "ann", Role: Operator}, me + 2: {Who: "bob", Role: Viewer}},
	}
	var who, noted []string
	c.Note = func(_ context.Context, kind string, body any) error {
		noted = append(noted, fmt.Sprint(kind, body.(map[string]any)["who"]))
		return nil
	}
	c.Routes = []Route{{Method: "POST", Path: "things/{id}", Role: Operator, Answer: func(_ context.Context, a *Ask) (any, error) {
		who = append(who, a.Caller.Who)
		return "done", nil
	}}}
	h := handler(t, c)
	with := func(token string) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request {
			r.Header.Set("Authorization", "Bearer "+token)
			return r
		}
	}
	peer := func(uid uint32) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request { return as(r, uid, true) }
	}
	for _, one := range []struct {
		name               string
		from               func(*http.Request) *http.Request
		pauseApp, pauseAny int // the verb on database app; on another
		reload, thing      int
	}{
		{"viewer", with("viewer"), 403, 403, 403, 403},
		{"operator", with("operator"), 200, 200, 403, 200},
		{"future", with("future"), 200, 200, 403, 200},
		{"admin", with("admin"), 200, 200, 200, 200},
		{"expired", with("expired"), 401, 401, 401, 401},
		{"scoped", with("scoped"), 200, 403, 403, 200},
		{"a hash is no token", with(string(expired.Hash[:4])), 401, 401, 401, 401},
		{"peer operator", peer(me + 1), 200, 200, 403, 200},
		{"peer viewer", peer(me + 2), 403, 403, 403, 403},
		{"stranger on the socket", peer(me + 3), 403, 403, 403, 403},
		{"root", peer(0), 200, 200, 200, 200},
	} {
		for _, ask := range []struct {
			path, body string
			want       int
		}{
			{"pause", `{"database":"app"}`, one.pauseApp}, {"pause", `{"database":"other"}`, one.pauseAny},
			{"reload", "", one.reload}, {"things/7", "", one.thing},
		} {
			f.asked, who = nil, nil
			status, body, _ := do(t, h, one.from(request("POST", "/api/v1/"+ask.path, ask.body)))
			if status != ask.want {
				t.Errorf("%s: %s %s: %d, want %d: %s", one.name, ask.path, ask.body, status, ask.want, body)
			}
			if acted := len(f.asked)+len(who) > 0; acted != (ask.want == 200) {
				t.Errorf("%s: %s: asked %q, %q", one.name, ask.path, f.asked, who)
			}
			if known := strings.Contains(one.name, "viewer"); known && !slices.Contains(noted, "request.refused"+map[string]string{"viewer": "viewer", "peer viewer": "bob"}[one.name]) {
				t.Errorf("%s: %s: noted %q", one.name, ask.path, noted)
			} else if ask.want == 401 && len(noted) > 0 {
				t.Errorf("%s: %s: a stranger fills the record: %q", one.name, ask.path, noted)
			}
			noted = nil
		}
	}
}

// TestStrangersSeeNothing: where peers share the socket it is open to connect to,
// and who is none of them is not shown anything either; nor is a wrong token.
func TestStrangersSeeNothing(t *testing.T) {
	f := newFake()
	c := f.config()
	me := uint32(os.Geteuid())
	c.Grants = Grants{Tokens: []Token{token("viewer", Viewer)}, Peers: map[uint32]Caller{me + 1: {Who: "ann"}}}
	h := handler(t, c)
	if status, body, _ := do(t, h, as(request("GET", "/api/v1/pools", ""), me+2, true)); status != 403 || strings.Contains(body, "items") {
		t.Errorf("a stranger: %d %s", status, body)
	}
	if status, _, _ := do(t, h, as(request("GET", "/api/v1/pools", ""), me+1, true)); status != 200 {
		t.Errorf("a peer: %d", status)
	}
	r := request("GET", "/api/v1/pools", "")
	r.Header.Set("Authorization", "Bearer wrong")
	if status, _, _ := do(t, h, r); status != 401 {
		t.Errorf("a wrong token: %d", status)
	}
}

// TestAdmitReplaces: a token that a reload takes away holds no more.
func TestAdmitReplaces(t *testing.T) {
	f := newFake()
	c := f.config()
	c.Token, c.Grants = "", Grants{Tokens: []Token{token("old", Admin)}}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) int {
		r := request("POST", "/api/v1/pause", `{"database":"app"}`)
		r.Header.Set("Authorization", "Bearer "+name)
		status, _, _ := do(t, s.http.Handler, r)
		return status
	}
	if ask("old") != 200 || ask("new") != 401 {
		t.Error("before the reload")
	}
	s.Admit(Grants{Tokens: []Token{token("new", Operator)}})
	if ask("old") != 401 || ask("new") != 200 {
		t.Error("after the reload")
	}
	s.Admit(Grants{})
	if ask("new") != 403 {
		t.Error("without any token")
	}
}
