package receive

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	topic     = "arn:aws:sns:us-east-1:123456789012:alarms"
	snsHost   = "https://sns.us-east-1.amazonaws.com"
	snsCert   = snsHost + "/SimpleNotificationService-0123456789abcdef.pem"
	alarmText = `{"AlarmName":"db-cpu","AlarmDescription":"CPU of db-1","AWSAccountId":"123456789012","NewStateValue":"ALARM","NewStateReason":"Threshold Crossed: 97",` +
		`"StateChangeTime":"2026-11-21T02:15:00.123+0000","Region":"US East (N. Virginia)","OldStateValue":"OK","Trigger":{"MetricName":"CPUUtilization","Namespace":"AWS/RDS","Threshold":90}}`
)

// amazon is SNS: a real TLS server that says it is sns.us-east-1.amazonaws.com,
// reached through a client that finds every host there. It serves the signing
// certificate and takes confirmations.
type amazon struct {
	key    *rsa.PrivateKey
	client *http.Client

	mu     sync.Mutex
	asked  []string
	answer func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
}

func newAmazon(t *testing.T, key *rsa.PrivateKey) *amazon {
	t.Helper()
	a := &amazon{key: key}
	certificate := selfSigned(t, key, time.Now().Add(time.Hour))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.asked = append(a.asked, r.Host+r.URL.String())
		answer := a.answer
		a.mu.Unlock()
		if answer != nil && answer(w, r) {
			return
		}
		if strings.HasSuffix(r.URL.Path, ".pem") {
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: certificate})
			return
		}
		_, _ = io.WriteString(w, "<ConfirmSubscriptionResponse/>")
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	a.client = newHTTP()
	a.client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(a.client.CloseIdleConnections)
	return a
}

// theirs is Amazon's key; making one is slow.
var theirs = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// fresh is somebody else's key.
func fresh(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func selfSigned(t *testing.T, key *rsa.PrivateKey, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, DNSNames: []string{"sns.us-east-1.amazonaws.com"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (a *amazon) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// message is a message that is right in everything; change alters it before
// (alter) or after (forge) it is signed.
func (a *amazon) message(t *testing.T, kind, version string, alter, forge func(v *snsMessage)) Message {
	t.Helper()
	v := &snsMessage{Type: kind, MessageID: rand.Text(), TopicArn: topic, Message: alarmText, SignatureVersion: version,
		Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), SigningCertURL: snsCert}
	if kind != snsNotification {
		v.Token = "tok"
		v.SubscribeURL = snsHost + "/?Action=ConfirmSubscription&TopicArn=" + url.QueryEscape(topic) + "&Token=tok"
	}
	if alter != nil {
		alter(v)
	}
	hash := map[string]crypto.Hash{"1": crypto.SHA1, "2": crypto.SHA256}[version]
	digest := hash.New()
	digest.Write(signedText(v))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, hash, digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	v.Signature = base64.StdEncoding.EncodeToString(signature)
	if forge != nil {
		forge(v)
	}
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return Message{"sns", http.Header{"X-Amz-Sns-Message-Type": {v.Type}, "Content-Type": {"text/plain; charset=UTF-8"}}, body}
}

func TestSNSTaken(t *testing.T) {
	a := newAmazon(t, theirs())
	d := newDesk(a.client)
	for _, version := range []string{"1", "2"} {
		m := a.message(t, snsNotification, version, nil, nil)
		for range 2 {
			if got := d.status(t, m); got != 200 {
				t.Fatalf("version %s: %d", version, got)
			}
		}
	}
	subject := "ALARM: db-cpu"
	d.status(t, a.message(t, snsNotification, "2", func(v *snsMessage) {
		v.Subject = &subject
		v.Message = strings.Replace(alarmText, `"ALARM"`, `"OK"`, 1)
	}, nil))
	d.status(t, a.message(t, snsNotification, "2", func(v *snsMessage) {
		v.Message = strings.Replace(alarmText, `"ALARM"`, `"INSUFFICIENT_DATA"`, 1)
	}, nil))
	d.status(t, a.message(t, snsNotification, "2", func(v *snsMessage) { v.Message = "just a text" }, nil))
	key := "foreign/sns/123456789012/US East (N. Virginia)/db-cpu"
	want := []string{key + " firing page", key + " firing page", key + " resolved page"}
	if got := d.keys(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if first := d.came[0]; first.Summary != "CloudWatch db-cpu: CPU of db-1" || first.Since.Format(time.RFC3339) != "2026-11-21T02:15:00Z" && !first.Since.Equal(time.Date(2026, 11, 21, 2, 15, 0, 123e6, time.UTC)) {
		t.Errorf("alarm %+v", first)
	}
	if n := len(a.requests()); n != 1 {
		t.Errorf("the certificate was fetched %d times: %v", n, a.requests())
	}
	if n := strings.Count(strings.Join(d.noted, " "), "alarm.message"); n != 2 {
		t.Errorf("noted %v", d.noted)
	}
}

// TestSNSForged: nothing but what SNS has signed for our topic, now, gets in.
func TestSNSForged(t *testing.T) {
	a := newAmazon(t, theirs())
	d := newDesk(a.client)
	set := func(change func(v *snsMessage)) func(v *snsMessage) { return change }
	for name, test := range map[string]struct {
		kind         string
		alter, forge func(v *snsMessage)
		want         int
	}{
		"altered text":        {snsNotification, nil, set(func(v *snsMessage) { v.Message += " " }), 403},
		"altered time":        {snsNotification, nil, set(func(v *snsMessage) { v.Timestamp = time.Now().Add(time.Second).UTC().Format(time.RFC3339) }), 403},
		"no signature":        {snsNotification, nil, set(func(v *snsMessage) { v.Signature = "" }), 403},
		"not base64":          {snsNotification, nil, set(func(v *snsMessage) { v.Signature = "###" }), 403},
		"version 3":           {snsNotification, nil, set(func(v *snsMessage) { v.SignatureVersion = "3" }), 403},
		"version 1 for 2":     {snsNotification, nil, set(func(v *snsMessage) { v.SignatureVersion = "1" }), 403},
		"added subject":       {snsNotification, nil, set(func(v *snsMessage) { v.Subject = new(string) }), 403},
		"another's topic":     {snsNotification, set(func(v *snsMessage) { v.TopicArn = "arn:aws:sns:us-east-1:666666666666:alarms" }), nil, 403},
		"certificate by http": {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = strings.Replace(snsCert, "https", "http", 1) }), nil, 403},
		"certificate elsewhere": {snsNotification, set(func(v *snsMessage) {
			v.SigningCertURL = "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem"
		}), nil, 403},
		"certificate in a bucket": {snsNotification, set(func(v *snsMessage) {
			v.SigningCertURL = "https://s3.us-east-1.amazonaws.com/SimpleNotificationService-0.pem"
		}), nil, 403},
		"certificate with user": {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = strings.Replace(snsCert, "https://", "https://x@", 1) }), nil, 403},
		"user that looks like it": {snsNotification, set(func(v *snsMessage) {
			v.SigningCertURL = "https://sns.us-east-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem"
		}), nil, 403},
		"certificate on a port": {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = strings.Replace(snsCert, ".com/", ".com:8443/", 1) }), nil, 403},
		"another path":          {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = snsHost + "/../x/SimpleNotificationService-0.pem" }), nil, 403},
		"with a query":          {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = snsCert + "?x=y" }), nil, 403},
		"another region":        {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = strings.Replace(snsCert, "us-east-1", "eu-west-1", 1) }), nil, 403},
		"China's cloud":         {snsNotification, set(func(v *snsMessage) { v.SigningCertURL = strings.Replace(snsCert, ".com/", ".com.cn/", 1) }), nil, 403},
		"an hour old":           {snsNotification, set(func(v *snsMessage) { v.Timestamp = time.Now().Add(-61 * time.Minute).UTC().Format(time.RFC3339) }), nil, 403},
		"from the future":       {snsNotification, set(func(v *snsMessage) { v.Timestamp = time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }), nil, 403},
		"no time":               {snsNotification, set(func(v *snsMessage) { v.Timestamp = "now" }), nil, 400},
		"no id":                 {snsNotification, set(func(v *snsMessage) { v.MessageID = "" }), nil, 400},
		"unknown type":          {"Other", nil, nil, 400},
		"confirm elsewhere":     {snsConfirm, set(func(v *snsMessage) { v.SubscribeURL = "https://evil.example/?Action=ConfirmSubscription" }), nil, 403},
		"confirm at metadata":   {snsConfirm, set(func(v *snsMessage) { v.SubscribeURL = "http://169.254.169.254/latest/meta-data/" }), nil, 403},
		"confirm another action": {snsConfirm, set(func(v *snsMessage) {
			v.SubscribeURL = strings.Replace(v.SubscribeURL, "ConfirmSubscription", "DeleteTopic", 1)
		}), nil, 403},
		"confirm another topic": {snsConfirm, set(func(v *snsMessage) { v.SubscribeURL = strings.Replace(v.SubscribeURL, "alarms", "others", 1) }), nil, 403},
		"confirm by a path":     {snsConfirm, set(func(v *snsMessage) { v.SubscribeURL = strings.Replace(v.SubscribeURL, "/?", "/x?", 1) }), nil, 403},
		"confirm altered":       {snsConfirm, nil, set(func(v *snsMessage) { v.Token = "other" }), 403},
	} {
		if got := d.status(t, a.message(t, test.kind, "2", test.alter, test.forge)); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
	m := a.message(t, snsNotification, "2", nil, nil)
	m.Header.Set("X-Amz-Sns-Message-Type", snsConfirm)
	if got := d.status(t, m); got != 400 {
		t.Errorf("header and body differ: %d", got)
	}
	stranger := newAmazon(t, fresh(t))
	if got := d.status(t, stranger.message(t, snsNotification, "2", nil, nil)); got != 403 {
		t.Errorf("signed with another key: %d", got)
	}
	if len(d.came) != 0 || len(d.noted) != 0 {
		t.Errorf("found %v, noted %v", d.came, d.noted)
	}
	for _, asked := range a.requests() {
		if !strings.HasSuffix(asked, ".pem") {
			t.Errorf("asked %s", asked)
		}
	}
}

func TestSNSConfirmsOnce(t *testing.T) {
	a := newAmazon(t, theirs())
	d := newDesk(a.client)
	m := a.message(t, snsConfirm, "2", nil, nil)
	a.mu.Lock()
	a.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, ".pem") {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	a.mu.Unlock()
	if got := d.status(t, m); got != 503 {
		t.Errorf("SNS away: %d", got)
	}
	a.mu.Lock()
	a.answer = nil
	a.mu.Unlock()
	for range 3 {
		if got := d.status(t, m); got != 200 {
			t.Errorf("then: %d", got)
		}
	}
	confirmed := 0
	for _, asked := range a.requests() {
		if strings.Contains(asked, "sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription") {
			confirmed++
		}
	}
	if confirmed != 2 || !slices.Equal(d.noted, []string{"alarm.subscribed"}) {
		t.Errorf("confirmed %d times; %v; noted %v", confirmed, a.requests(), d.noted)
	}
	d.status(t, a.message(t, snsUnsubscribed, "2", nil, nil))
	if got := d.keys(); len(got) != 1 || !strings.Contains(got[0], "unsubscribed/"+topic) {
		t.Errorf("unsubscribed: %v", got)
	}
}

// TestSNSCertificates: what cannot be had or used is asked for again later; a
// redirect is not followed.
func TestSNSCertificates(t *testing.T) {
	for name, answer := range map[string]func(t *testing.T, a *amazon, w http.ResponseWriter){
		"away": func(_ *testing.T, _ *amazon, w http.ResponseWriter) { w.WriteHeader(500) },
		"redirect": func(_ *testing.T, _ *amazon, w http.ResponseWriter) {
			w.Header().Set("Location", "https://evil.example/x.pem")
			w.WriteHeader(302)
		},
		"no PEM": func(_ *testing.T, _ *amazon, w http.ResponseWriter) { _, _ = io.WriteString(w, "hello") },
		"endless": func(_ *testing.T, _ *amazon, w http.ResponseWriter) {
			for range 1000 {
				if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		},
		"no certificate": func(_ *testing.T, _ *amazon, w http.ResponseWriter) {
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
		},
		"out of date": func(t *testing.T, a *amazon, w http.ResponseWriter) {
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t, a.key, time.Now().Add(-time.Hour))})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAmazon(t, theirs())
			d := newDesk(a.client)
			a.answer = func(w http.ResponseWriter, _ *http.Request) bool { answer(t, a, w); return true }
			m := a.message(t, snsNotification, "2", nil, nil)
			if got := d.status(t, m); got != 503 {
				t.Errorf("status %d", got)
			}
			a.mu.Lock()
			a.answer = nil
			a.mu.Unlock()
			if got := d.status(t, m); got != 200 || len(d.keys()) != 1 {
				t.Errorf("then %d, %v", got, d.keys())
			}
			for _, asked := range a.requests() {
				if !strings.HasPrefix(asked, "sns.us-east-1.amazonaws.com/") {
					t.Errorf("asked %s", asked)
				}
			}
		})
	}
}
