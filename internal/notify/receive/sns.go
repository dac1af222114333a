package receive

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"spillway/internal/notify/alarm"
)

// snsMessage is what SNS posts, of every type.
type snsMessage struct {
	Type             string
	MessageID        string `json:"MessageId"`
	TopicArn         string
	Subject          *string // absent and empty are signed differently
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	SubscribeURL     string
	Token            string
}

// The types of SNS.
const (
	snsNotification = "Notification"
	snsConfirm      = "SubscriptionConfirmation"
	snsUnsubscribed = "UnsubscribeConfirmation"
)

// How far a message's time may be from ours. SNS signs once and repeats what
// could not be delivered; Amazon's advice is to take nothing older than an hour.
const (
	oldestMessage  = time.Hour
	earliestFuture = 5 * time.Minute
)

func (r *Receiver) sns(ctx context.Context, s Source, m Message) (Taken, error) {
	var v snsMessage
	if err := json.Unmarshal(m.Body, &v); err != nil {
		return Taken{}, refuse(http.StatusBadRequest, "the body is no message of SNS: it is not JSON of its form")
	}
	if kind := m.Header.Get("X-Amz-Sns-Message-Type"); kind != v.Type {
		return Taken{}, refuse(http.StatusBadRequest, "the header and the body name different types of message")
	}
	if !slices.Contains(s.Topics, v.TopicArn) {
		return Taken{}, refuse(http.StatusForbidden, "the topic is not one of this source's")
	}
	if err := r.certs.verify(ctx, &v); err != nil {
		return Taken{}, err
	}
	at, err := time.Parse(time.RFC3339, v.Timestamp)
	if err != nil {
		return Taken{}, refuse(http.StatusBadRequest, "the timestamp cannot be read")
	}
	if age := time.Since(at); age > oldestMessage || age < -earliestFuture {
		return Taken{}, refuse(http.StatusForbidden, "the message is from another time than now")
	}
	if v.MessageID == "" {
		return Taken{}, refuse(http.StatusBadRequest, "the message has no id")
	}
	switch v.Type {
	case snsNotification:
		return r.notification(s, &v), nil
	case snsConfirm:
		return Taken{}, r.confirm(ctx, s, &v)
	case snsUnsubscribed:
		r.unsubscribed(s, &v)
		return Taken{}, nil
	}
	return Taken{}, refuse(http.StatusBadRequest, "there is no such type of message")
}

// cloudWatch is an alarm of CloudWatch, as the text of a notification.
type cloudWatch struct {
	AlarmName        string
	AlarmDescription string
	AWSAccountID     string `json:"AWSAccountId"`
	NewStateValue    string
	NewStateReason   string
	StateChangeTime  string
	Region           string
	OldStateValue    string
	Trigger          struct{ MetricName, Namespace string }
}

// cloudWatchTime is how CloudWatch writes times: RFC 3339 but for the colon.
const cloudWatchTime = "2006-01-02T15:04:05.000-0700"

func (r *Receiver) notification(s Source, v *snsMessage) Taken {
	var t Taken
	var c cloudWatch
	if err := json.Unmarshal([]byte(v.Message), &c); err != nil || c.AlarmName == "" {
		// Somebody else's message on the topic: it stands in the record.
		if r.seen.first(s.Name + "\x00" + v.MessageID) {
			r.config.Note("alarm.message", map[string]any{"source": s.Name, "topic": v.TopicArn, "text": alarm.ClipLines(v.Message, 4096)})
		}
		return t
	}
	changed, err := time.Parse(cloudWatchTime, c.StateChangeTime)
	if err != nil {
		changed = time.Now()
	}
	a := alarm.Alarm{Key: c.AWSAccountID + "/" + c.Region + "/" + c.AlarmName, Status: alarm.Firing, Summary: "CloudWatch " + c.AlarmName, Since: changed, At: changed}
	if c.AlarmDescription != "" {
		a.Summary += ": " + c.AlarmDescription
	}
	a.Evidence = []string{c.NewStateReason, "account " + c.AWSAccountID + ", " + c.Region}
	if c.Trigger.MetricName != "" {
		a.Evidence = append(a.Evidence, "metric "+c.Trigger.Namespace+" "+c.Trigger.MetricName)
	}
	switch c.NewStateValue {
	case "OK":
		a.Status = alarm.Resolved
	case "ALARM":
	default:
		// INSUFFICIENT_DATA says nothing of how things are.
		if r.seen.first(s.Name + "\x00" + v.MessageID) {
			r.config.Note("alarm.message", map[string]any{"source": s.Name, "topic": v.TopicArn, "text": alarm.Clip(c.AlarmName+" is "+c.NewStateValue+": "+c.NewStateReason, 4096)})
		}
		return t
	}
	r.found(s, v.MessageID, a, &t)
	return t
}

// unsubscribed tells that this way of hearing is closed.
func (r *Receiver) unsubscribed(s Source, v *snsMessage) {
	var t Taken
	now := time.Now()
	r.found(s, v.MessageID, alarm.Alarm{
		Key: "unsubscribed/" + v.TopicArn, Status: alarm.Firing, Level: alarm.Warn, Since: now, At: now,
		Summary: "SNS sends no more alarms of " + v.TopicArn + ": somebody has unsubscribed source " + s.Name,
		Runbook: "Subscribe the topic to this source again, or take it out of the config.",
	}, &t)
}
