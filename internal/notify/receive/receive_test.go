package receive

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/internal/notify/alarm"
	"spillway/internal/notify/send"
)

const (
	amToken   = "alertmanager-token"
	hookToken = "webhook-token-1234"
	hookKey   = "webhook-key-123456"
)

// desk is a receiver under test and what it has found.
type desk struct {
	*Receiver
	mu    sync.Mutex
	came  []alarm.Alarm
	noted []string
}

func newDesk(client *http.Client) *desk {
	d := &desk{}
	d.Receiver = New(Config{HTTP: client, Found: func(a alarm.Alarm) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.came = append(d.came, a)
	}, Note: func(kind string, _ any) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.noted = append(d.noted, kind)
	}})
	d.Keep([]Source{
		{Name: "am", Kind: Alertmanager, Token: amToken, Level: alarm.Warn},
		{Name: "hook", Kind: Webhook, Token: hookToken, Level: alarm.Page},
		{Name: "signed", Kind: Webhook, Token: hookToken, Key: hookKey, Level: alarm.Warn},
		{Name: "sns", Kind: SNS, Topics: []string{topic}, Level: alarm.Page},
		{Name: "open", Kind: Webhook},
	})
	return d
}

func (d *desk) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for _, a := range d.came {
		all = append(all, fmt.Sprintf("%s %s %s", a.Key, a.Status, a.Level))
	}
	return all
}

func bearing(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// status is what a message gets; 200 when it is taken.
func (d *desk) status(t *testing.T, m Message) int {
	t.Helper()
	_, err := d.Take(t.Context(), m)
	if err == nil {
		return http.StatusOK
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("no refusal: %v", err)
	}
	return r.Status
}

const firingV4 = `{"version":"4","groupKey":"{}","status":"firing","receiver":"spillway","truncatedAlerts":0,"newField":{"x":[1]},
"alerts":[{"status":"firing","labels":{"alertname":"DiskFull","severity":"critical","instance":"db-1"},"annotations":{"summary":"97 % used","runbook_url":"https://runbooks.example.com/disk"},
"startsAt":"2026-11-21T02:15:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prom","fingerprint":"c0ffee"}]}`

func TestAlertmanagerTaken(t *testing.T) {
	d := newDesk(nil)
	m := Message{Source: "am", Header: bearing(amToken), Body: []byte(firingV4)}
	for range 3 { // a pair of Alertmanagers sends twice
		if got := d.status(t, m); got != http.StatusOK {
			t.Fatalf("status %d", got)
		}
	}
	m.Body = []byte(strings.ReplaceAll(strings.ReplaceAll(firingV4, `"firing"`, `"resolved"`), "0001-01-01T00:00:00Z", "2026-11-21T02:30:00Z"))
	d.status(t, m)
	want := []string{"foreign/am/c0ffee firing page", "foreign/am/c0ffee resolved page"}
	if got := d.keys(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	a := d.came[0]
	if a.Summary != "DiskFull: 97 % used" || !a.Foreign || a.Runbook != "https://runbooks.example.com/disk" || !slices.Contains(a.Evidence, "instance=db-1") {
		t.Errorf("alarm %+v", a)
	}
	if n := d.Counts()[Count{"am", "repeated"}]; n != 2 {
		t.Errorf("%d repeated", n)
	}
}

// TestOwnAlarmsComeNotBack: what we posted to an Alertmanager is not taken in again.
func TestOwnAlarmsComeNotBack(t *testing.T) {
	d := newDesk(nil)
	body := strings.Replace(firingV4, `"instance"`, `"generator":"`+send.Generator+`","instance"`, 1)
	if got := d.status(t, Message{Source: "am", Header: bearing(amToken), Body: []byte(body)}); got != http.StatusOK || len(d.keys()) != 0 {
		t.Errorf("status %d, found %v", got, d.keys())
	}
}

// TestForgedAndBroken: everything wrong has its status, and nothing is done.
func TestForgedAndBroken(t *testing.T) {
	d := newDesk(nil)
	good := `{"key":"k","status":"firing","summary":"s"}`
	basic := http.Header{}
	(&http.Request{Header: basic}).SetBasicAuth("sns", "wrong")
	signedAt := func(at time.Time, body string) http.Header {
		h := bearing(hookToken)
		h.Set(send.SignatureHeader, send.Sign(hookKey, []byte(body), at))
		return h
	}
	for name, test := range map[string]struct {
		m    Message
		want int
	}{
		"no such source":      {Message{"none", bearing(amToken), []byte(firingV4)}, 401},
		"no token":            {Message{"am", http.Header{}, []byte(firingV4)}, 401},
		"wrong token":         {Message{"am", bearing("alertmanager-tokem"), []byte(firingV4)}, 401},
		"another's token":     {Message{"am", bearing(hookToken), []byte(firingV4)}, 401},
		"token as user":       {Message{"am", http.Header{"Authorization": {amToken}}, []byte(firingV4)}, 401},
		"wrong password":      {Message{"am", basic, []byte(firingV4)}, 401},
		"broken basic":        {Message{"am", http.Header{"Authorization": {"Basic ###"}}, []byte(firingV4)}, 401},
		"no token configured": {Message{"open", http.Header{"Authorization": {"Bearer "}}, []byte(good)}, 401},
		"not JSON":            {Message{"am", bearing(amToken), []byte("alert!")}, 400},
		"empty":               {Message{"am", bearing(amToken), nil}, 400},
		"another version":     {Message{"am", bearing(amToken), []byte(`{"version":"3","alerts":[]}`)}, 400},
		"half":                {Message{"am", bearing(amToken), []byte(firingV4[:200])}, 400},
		"wrong kinds":         {Message{"am", bearing(amToken), []byte(`{"version":"4","alerts":"x"}`)}, 400},
		"half of them wrong":  {Message{"am", bearing(amToken), []byte(`{"version":"4","alerts":[{"status":"firing","labels":{"a":"b"}},{"status":"on"}]}`)}, 400},
		"deep":                {Message{"am", bearing(amToken), []byte(`{"version":"4","x":` + strings.Repeat("[", 100000) + `}`)}, 400},
		"webhook without key": {Message{"hook", bearing(hookToken), []byte(`{"status":"firing","summary":"s"}`)}, 400},
		"webhook status":      {Message{"hook", bearing(hookToken), []byte(`{"key":"k","status":"on","summary":"s"}`)}, 400},
		"webhook level":       {Message{"hook", bearing(hookToken), []byte(`{"key":"k","status":"firing","summary":"s","level":"panic"}`)}, 400},
		"unsigned":            {Message{"signed", bearing(hookToken), []byte(good)}, 403},
		"signed for another":  {Message{"signed", signedAt(time.Now(), good+" "), []byte(good)}, 403},
		"signed long ago":     {Message{"signed", signedAt(time.Now().Add(-time.Hour), good), []byte(good)}, 403},
		"signed in future":    {Message{"signed", signedAt(time.Now().Add(time.Hour), good), []byte(good)}, 403},
		"garbled signature":   {Message{"signed", http.Header{"Authorization": {"Bearer " + hookToken}, send.SignatureHeader: {"t=x,v1="}}, []byte(good)}, 403},
	} {
		if got := d.status(t, test.m); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	if len(d.came) != 0 || len(d.noted) != 0 {
		t.Errorf("found %v, noted %v", d.came, d.noted)
	}
}

func TestWebhookTaken(t *testing.T) {
	d := newDesk(nil)
	body := `{"version":1,"key":"slots/main","status":"firing","summary":"full\u0000\u001b[31m","evidence":["a"],"unknown":1}`
	h := bearing(hookToken)
	h.Set(send.SignatureHeader, send.Sign(hookKey, []byte(body), time.Now()))
	for range 2 {
		if got := d.status(t, Message{"signed", h, []byte(body)}); got != 200 {
			t.Fatalf("signed: %d", got)
		}
	}
	basic := http.Header{}
	(&http.Request{Header: basic}).SetBasicAuth("any", hookToken)
	d.status(t, Message{"hook", basic, []byte(body)})
	want := []string{"foreign/signed/slots/main firing warn", "foreign/hook/slots/main firing page"}
	if got := d.keys(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if a := d.came[0]; strings.ContainsAny(a.Summary, "\x00\x1b") || a.Since.IsZero() {
		t.Errorf("alarm %+v", a)
	}
}

// TestHugeTexts: what is taken is bounded, whatever a known sender sends.
func TestHugeTexts(t *testing.T) {
	d := newDesk(nil)
	long := strings.Repeat("x", 100000)
	body := `{"version":"4","alerts":[` + strings.TrimSuffix(strings.Repeat(`{"status":"firing","labels":{"alertname":"`+long[:1000]+`"},"annotations":{"summary":"`+long[:1000]+`"}},`, 300), ",") + `]}`
	if got := d.status(t, Message{"am", bearing(amToken), []byte(body)}); got != 200 {
		t.Fatalf("status %d", got)
	}
	d.status(t, Message{"hook", bearing(hookToken), []byte(`{"key":"` + long + `","status":"firing","summary":"` + long + `"}`)})
	for _, a := range d.came {
		if len(a.Key) > 600 || len(a.Summary) > 2048 {
			t.Errorf("key of %d bytes, summary of %d", len(a.Key), len(a.Summary))
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for i := range 3 * mostSeen {
		if !m.first(fmt.Sprint(i)) {
			t.Fatalf("%d was new", i)
		}
	}
	if len(m.known) > mostSeen || len(m.ring) > mostSeen {
		t.Errorf("%d known", len(m.known))
	}
	if m.first(fmt.Sprint(3*mostSeen - 1)) {
		t.Error("the last one is forgotten")
	}
}

func FuzzTake(f *testing.F) {
	f.Add("am", firingV4)
	f.Add("hook", `{"key":"k","status":"resolved","summary":"s","since":"2026-01-01T00:00:00Z"}`)
	f.Add("sns", `{"Type":"Notification","TopicArn":"`+topic+`","SignatureVersion":"1","Signature":"AA==","SigningCertURL":"https://sns.us-east-1.amazonaws.com/x.pem"}`)
	d := newDesk(&http.Client{Transport: nowhere{}})
	f.Fuzz(func(t *testing.T, source, body string) {
		h := http.Header{"X-Amz-Sns-Message-Type": {"Notification"}, "Authorization": {"Bearer " + map[string]string{"am": amToken, "hook": hookToken}[source]}}
		d.mu.Lock()
		d.came, d.noted = nil, nil
		d.mu.Unlock()
		_, _ = d.Take(t.Context(), Message{source, h, []byte(body)}) // must not panic
	})
}

// nowhere is a network without anybody.
type nowhere struct{}

func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("nobody at %s", r.URL.Host)
}
