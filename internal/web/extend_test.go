package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestRoutesOfOtherRooms: role, body limit, strict decoding and status of what node joins in.
func TestRoutesOfOtherRooms(t *testing.T) {
	var asked []string
	f := newFake()
	c := f.config()
	answer := func(_ context.Context, a *Ask) (any, error) {
		var body struct{ Text string }
		if err := a.Decode(&body); err != nil {
			return nil, err
		}
		asked = append(asked, a.Caller.Who+"/"+a.Path("id")+"/"+body.Text)
		switch body.Text {
		case "refuse":
			return nil, Refuse(http.StatusTeapot, "short and stout", "pour")
		case "fail":
			return nil, errors.New("it failed")
		case "doc":
			return Document{"text/markdown", []byte("# hi")}, nil
		}
		return map[string]string{"ok": body.Text}, nil
	}
	c.Routes = []Route{
		{Method: "POST", Path: "things/{id}", Role: Operator, MaxBody: 64, Answer: answer},
		{Method: "GET", Path: "things/{id}", Answer: answer},
	}
	h := handler(t, c)
	for _, test := range []struct {
		method, body string
		status       int
		says         string
	}{
		{"GET", "", 200, `"ok":""`},
		{"POST", `{"text":"a"}`, 200, `"ok":"a"`},
		{"POST", `{"text":"refuse"}`, http.StatusTeapot, "pour"},
		{"POST", `{"text":"fail"}`, http.StatusConflict, "it failed"},
		{"POST", `{"text":"doc"}`, 200, "# hi"},
		{"POST", `{"other":1}`, 400, "other"},
		{"POST", `{"text":"a"}{}`, 400, "more than one"},
		{"POST", `{"text":"` + strings.Repeat("a", 64) + `"}`, http.StatusRequestEntityTooLarge, "too large"},
	} {
		status, body, _ := do(t, h, as(request(test.method, "/api/v1/things/7", test.body), 0, true))
		if status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s %s: %d %s", test.method, test.body, status, body)
		}
	}
	before := len(asked)
	if status, _, _ := do(t, h, request("POST", "/api/v1/things/7", `{"text":"a"}`)); status != http.StatusUnauthorized {
		t.Errorf("a stranger's order: status %d", status)
	}
	if len(asked) != before {
		t.Error("a stranger's order was carried out")
	}
}
