package send

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"spillway/internal/notify/alarm"
)

// SignatureHeader carries "t=SECONDS,v1=HEX": the time of signing and
// HMAC-SHA-256 over "SECONDS.BODY".
const SignatureHeader = "Spillway-Signature"

// webhookBody is an alarm and who sends it.
type webhookBody struct {
	Version int `json:"version"`
	alarm.Alarm
	Region string `json:"region,omitempty"`
	Node   string `json:"node,omitempty"`
}

func (s *Sender) webhook(a alarm.Alarm, header http.Header) ([]byte, error) {
	body, err := json.Marshal(webhookBody{1, a, s.endpoint.Region, s.endpoint.Node})
	if err == nil && s.endpoint.Key != "" {
		header.Set(SignatureHeader, Sign(s.endpoint.Key, body, time.Now()))
	}
	return body, err
}

// Sign is the value of SignatureHeader for a body.
func Sign(key string, body []byte, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(seconds + "."))
	mac.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
