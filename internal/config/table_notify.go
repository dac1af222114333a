package config

import "time"

func channelKeys() []key {
	type C = Channel
	return []key{
		scalar("type", func(c *C) *string { return &c.Type }, "", "",
			"What is at the other end.", oneOf("pagerduty", "slack", "alertmanager", "webhook"), required(), sample("alertmanager")),
		scalar("url", func(c *C) *string { return &c.URL }, "", "",
			"Its address. That of a Slack webhook is a secret: better ${NAME} or url_file. PagerDuty has https://events.pagerduty.com/v2/enqueue by itself.",
			hidden(), sample("http://127.0.0.1:9093")),
		scalar("url_file", func(c *C) *string { return &c.URLFile }, "", "",
			"File whose first line is the address.", file(), suggest("slack.url")),
		scalar("peers", func(c *C) *[]string { return &c.Peers }, "[]", "",
			"The other Alertmanagers of the cluster; each is told by itself.", suggest("[\"http://127.0.0.1:9094\"]")),
		scalar("key", func(c *C) *string { return &c.Key }, "", "",
			"PagerDuty: the routing key (integration key). webhook: the key of the signature; without one nothing is signed.", hidden(), suggest("${PAGERDUTY_KEY}")),
		scalar("key_file", func(c *C) *string { return &c.KeyFile }, "", "",
			"File whose first line is that key.", file(), suggest("pagerduty.key")),
		scalar("token", func(c *C) *string { return &c.Token }, "", "",
			"alertmanager, webhook: sent as Authorization: Bearer.", hidden(), suggest("${ALERTMANAGER_TOKEN}")),
		scalar("token_file", func(c *C) *string { return &c.TokenFile }, "", "",
			"File whose first line is that token.", file(), suggest("alertmanager.token")),
		scalar("ca", func(c *C) *string { return &c.CA }, "", "",
			"Certificates trusted to sign its own; those of the machine when left out.", file(), suggest("monitoring-ca.pem")),
		scalar("levels", func(c *C) *[]string { return &c.Levels }, "[warn, page]", "",
			"Which findings go there.", oneOf("warn", "page")),
		scalar("workloads", func(c *C) *[]string { return &c.Workloads }, "[]", "",
			"Only findings of these workloads; * and ? stand for any letters. Empty is all, and those of no workload.", suggest("[\"batch-*\"]")),
		scalar("detectors", func(c *C) *[]string { return &c.Detectors }, "[]", "",
			"Only findings of these detectors, likewise."),
		scalar("foreign", func(c *C) *bool { return &c.Foreign }, "false", "",
			"Also pass on the alarms that other monitors sent here."),
		scalar("timeout", func(c *C) *time.Duration { return &c.Timeout }, "10s", "",
			"Longest wait for an answer; what is not answered is tried again."),
		scalar("repeat", func(c *C) *time.Duration { return &c.Repeat }, "", "",
			"After how long what still holds is told again.", inherits("1m for alertmanager, never for the others")),
	}
}

func alarmSourceKeys() []key {
	type S = AlarmSource
	return []key{
		scalar("type", func(s *S) *string { return &s.Type }, "", "",
			"What it sends: Alertmanager's webhook, CloudWatch alarms through SNS, or the form of Spillway's own webhooks.", oneOf("alertmanager", "sns", "webhook"), required(), sample("sns")),
		scalar("token", func(s *S) *string { return &s.Token }, "", "",
			"Token that it must send, as bearer token or as password of basic authentication. Without one everything is refused, but from SNS, which signs.",
			hidden(), suggest("${ALARM_TOKEN_OF_16_OR_MORE}")),
		scalar("token_file", func(s *S) *string { return &s.TokenFile }, "", "",
			"File whose first line is that token.", file(), suggest("alarms.token")),
		scalar("key", func(s *S) *string { return &s.Key }, "", "",
			"webhook: key of the signature that is asked for besides the token.", hidden(), suggest("${ALARM_KEY_OF_16_OR_MORE}")),
		scalar("key_file", func(s *S) *string { return &s.KeyFile }, "", "",
			"File whose first line is that key.", file(), suggest("alarms.key")),
		scalar("topics", func(s *S) *[]string { return &s.Topics }, "[]", "",
			"sns: the topics that are taken, by their full ARN. A subscription to one of them is confirmed by itself.",
			sample("[\"arn:aws:sns:us-east-1:123456789012:alarms\"]")),
		scalar("level", func(s *S) *string { return &s.Level }, "warn", "",
			"How urgent an alarm is that does not say so itself.", oneOf("warn", "page")),
	}
}
