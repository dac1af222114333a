package receive

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // version 1 of the signature
	_ "crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"spillway/internal/notify/alarm"
)

// awsHost is SNS itself: nothing else may serve a certificate or be asked to
// confirm. The region is that of the topic.
var awsHost = regexp.MustCompile(`^sns\.([a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2})\.amazonaws\.com(?:\.cn)?$`)

// awsCertificate is the path of SNS's certificates.
var awsCertificate = regexp.MustCompile(`^/SimpleNotificationService-[0-9a-zA-Z]{1,128}\.pem$`)

// awsURL reads an address that must be SNS's own in the topic's region.
func awsURL(text, topic string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	host := awsHost.FindStringSubmatch(u.Host) // with a port it does not match
	arn := strings.SplitN(topic, ":", 6)
	if host == nil || len(arn) != 6 || arn[0] != "arn" || arn[2] != "sns" || arn[3] != host[1] {
		return nil, false
	}
	if strings.HasSuffix(u.Host, ".cn") != (arn[1] == "aws-cn") {
		return nil, false
	}
	return u, true
}

// certificates are those that SNS signs with, as fetched from it.
type certificates struct {
	fetch func(ctx context.Context, address string) ([]byte, error)
	mu    sync.Mutex
	known map[string]certificate // guarded by mu; by address
}

type certificate struct {
	key   *rsa.PublicKey
	until time.Time
}

// Bounds on certificates. SNS has one for each region, and renews it yearly.
const (
	mostCertificates = 16
	certificateLives = 24 * time.Hour
	fetchTimeout     = 5 * time.Second
	longestFetch     = 64 << 10 // bytes
)

// verify checks a message's signature: version 1 is SHA-1, version 2 SHA-256,
// both RSA PKCS #1 v1.5.
func (c *certificates) verify(ctx context.Context, v *snsMessage) error {
	hash := map[string]crypto.Hash{"1": crypto.SHA1, "2": crypto.SHA256}[v.SignatureVersion]
	if hash == 0 {
		return refuse(http.StatusForbidden, "the signature has no known version")
	}
	signature, err := base64.StdEncoding.DecodeString(v.Signature)
	if err != nil || len(signature) == 0 {
		return refuse(http.StatusForbidden, "the signature is missing or wrong")
	}
	address, ours := awsURL(v.SigningCertURL, v.TopicArn)
	if !ours || !awsCertificate.MatchString(address.Path) || address.RawQuery != "" {
		return refuse(http.StatusForbidden, "the signing certificate is not at SNS")
	}
	key, err := c.get(ctx, address.String())
	if err != nil {
		return refuse(http.StatusServiceUnavailable, "the signing certificate cannot be had: %v", err)
	}
	digest := hash.New()
	_, _ = digest.Write(signedText(v)) // a hash takes everything
	if rsa.VerifyPKCS1v15(key, hash, digest.Sum(nil), signature) != nil {
		return refuse(http.StatusForbidden, "the signature is missing or wrong")
	}
	return nil
}

// signedText is what SNS signs: name and value of these fields, a line each.
func signedText(v *snsMessage) []byte {
	var b bytes.Buffer
	line := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	line("Message", v.Message)
	line("MessageId", v.MessageID)
	if v.Type == snsNotification {
		if v.Subject != nil {
			line("Subject", *v.Subject)
		}
	} else {
		line("SubscribeURL", v.SubscribeURL)
	}
	line("Timestamp", v.Timestamp)
	if v.Type != snsNotification {
		line("Token", v.Token)
	}
	line("TopicArn", v.TopicArn)
	line("Type", v.Type)
	return b.Bytes()
}

// get is the key of the certificate at an address, kept for a day.
func (c *certificates) get(ctx context.Context, address string) (*rsa.PublicKey, error) {
	now := time.Now()
	c.mu.Lock()
	known, ok := c.known[address]
	c.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.key, nil
	}
	text, err := c.fetch(ctx, address)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is no PEM file")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("it has no RSA key")
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, errors.New("it is not valid now")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= mostCertificates {
		c.known = map[string]certificate{}
	}
	c.known[address] = certificate{key, now.Add(certificateLives)}
	return key, nil
}

func newHTTP() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: fetchTimeout}).DialContext,
			TLSHandshakeTimeout: fetchTimeout,
			MaxIdleConns:        2,
			IdleConnTimeout:     10 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get fetches an address that awsURL has approved of.
func (r *Receiver) get(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("its address cannot be asked")
	}
	response, err := r.config.HTTP.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the address of a confirmation holds a token
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("SNS answered %d", response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, longestFetch+1))
	if err == nil && len(text) > longestFetch {
		err = fmt.Errorf("it has more than %d bytes", longestFetch)
	}
	return text, err
}

// confirm answers SNS that this source wants the topic. Topic and signature have
// been checked; the address must be SNS's own too.
func (r *Receiver) confirm(ctx context.Context, s Source, v *snsMessage) error {
	address, ours := awsURL(v.SubscribeURL, v.TopicArn)
	if !ours || address.Path != "/" && address.Path != "" {
		return refuse(http.StatusForbidden, "the address to confirm at is not SNS's")
	}
	query := address.Query()
	if query.Get("Action") != "ConfirmSubscription" || query.Get("TopicArn") != v.TopicArn {
		return refuse(http.StatusForbidden, "the address to confirm at asks for something else")
	}
	id := s.Name + "\x00" + v.MessageID
	if !r.seen.first(id) {
		return nil
	}
	if _, err := r.get(ctx, address.String()); err != nil {
		r.seen.forget(id)
		return refuse(http.StatusServiceUnavailable, "the subscription could not be confirmed: %s", alarm.Clip(err.Error(), 200))
	}
	r.config.Log.Info("SNS subscription confirmed", "source", s.Name, "topic", v.TopicArn)
	r.config.Note("alarm.subscribed", map[string]any{"source": s.Name, "topic": v.TopicArn})
	return nil
}
