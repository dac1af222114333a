package config

import (
	"path/filepath"
	"strings"
	"testing"
)

const leastServer = "servers: {main: {url: postgres://h}}\nauth: {type: trust}\n"

// TestNotifyProblems: each mistake under notify and alarms is told with a mend,
// and no secret with it.
func TestNotifyProblems(t *testing.T) {
	dir := write(t, map[string]string{"empty": "\n", "short": "abc\n", "ok": "0123456789abcdef\n", "no.pem": "hello"})
	for yaml, want := range map[string]string{
		`notify: {a: {url: "http://h"}}`:                                                    "notify.a has no type",
		`notify: {a: {type: slack}}`:                                                        "notify.a has no url",
		`notify: {a: {type: pagerduty}}`:                                                    "notify.a has no key",
		`notify: {a: {type: pager, url: "http://h"}}`:                                       "write one of pagerduty",
		`notify: {a: {type: slack, url: "ftp://verysecret"}}`:                               "not an address of http",
		`notify: {a: {type: slack, url: "verysecret"}}`:                                     "not an address of http",
		`notify: {a: {type: slack, url: "http://verysecret", url_file: ok}}`:                "both given",
		`notify: {a: {type: slack, url_file: none}}`:                                        "no such file",
		`notify: {a: {type: pagerduty, key_file: empty}}`:                                   "is empty",
		`notify: {a: {type: slack, url: "http://h", levels: []}}`:                           "has no levels",
		`notify: {a: {type: slack, url: "http://h", levels: [loud]}}`:                       "cannot be \"loud\"",
		`notify: {a: {type: slack, url: "http://h", peers: ["http://i"]}}`:                  "peers are for alertmanager",
		`notify: {a: {type: alertmanager, url: "http://h", peers: ["http://h"]}}`:           "one address twice",
		`notify: {a: {type: slack, url: "http://h", workloads: ["[a"]}}`:                    "is not a glob",
		`notify: {a: {type: slack, url: "http://h", timeout: 10m}}`:                         "is not between",
		`notify: {a: {type: slack, url: "http://h", repeat: 1s}}`:                           "is less than",
		`notify: {a: {type: slack, url: "http://h", ca: no.pem}}`:                           "holds no certificate",
		`alarms: {a: {token: 0123456789abcdef}}`:                                            "alarms.a has no type",
		`alarms: {a: {type: alertmanager}}`:                                                 "has no token",
		`alarms: {a: {type: alertmanager, token: verysecret}}`:                              "shorter than 16",
		`alarms: {a: {type: alertmanager, token_file: short}}`:                              "shorter than 16",
		`alarms: {a: {type: sns}}`:                                                          "names no topic",
		`alarms: {a: {type: sns, topics: [alarms]}}`:                                        "not an ARN",
		`alarms: {"a/b": {type: webhook, token: 0123456789abcdef}}`:                         "does not fit into an address",
		`alarms: {a: {type: alertmanager, token: 0123456789abcdef, key: 0123456789abcdef}}`: "key is for webhook",
		`alarms: {a: {type: webhook, token: 0123456789abcdef, level: loud}}`:                "cannot be \"loud\"",
		`admin_names: ["spillway.example.com:6433"]`:                                        "is no host name",
		`notify: {a: {type: slack, url: "${VERYSECRET}"}}`:                                  "not an address of http",
		`notify: {a: {type: slack, url: "http://h", webhook: x}}`:                           "unknown key",
	} {
		env := func(name string) (string, bool) { return "ftp://verysecret", name == "VERYSECRET" }
		_, err := Parse(filepath.Join(dir, "spillway.yaml"), []byte(leastServer+yaml+"\n"), env)
		problems, ok := err.(Problems) //nolint:errorlint // the contract of Parse
		if !ok || len(problems) == 0 {
			t.Errorf("%s: %v", yaml, err)
			continue
		}
		found := false
		for _, p := range problems {
			found = found || strings.Contains(p.What+" "+p.Mend, want)
			if p.Mend == "" {
				t.Errorf("%s: %q does not say how to mend it", yaml, p.What)
			}
			if strings.Contains(p.What+p.Why+p.Mend, "verysecret") {
				t.Errorf("%s: %q tells the secret", yaml, p.What)
			}
		}
		if !found {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
}

func TestNotifyRead(t *testing.T) {
	dir := write(t, map[string]string{"url": "https://hooks.example.com/T0\r\nmore\n", "token": "0123456789abcdef"})
	c, err := Parse(filepath.Join(dir, "spillway.yaml"), []byte(leastServer+`
admin_names: [spillway.example.com]
notify:
  chat: {type: slack, url_file: url, levels: page, foreign: true}
  am: {type: alertmanager, url: "http://a", peers: ["http://b"], repeat: 2m, token_file: token}
alarms:
  cw: {type: sns, topics: "arn:aws:sns:us-east-1:1:t"}
  hook: {type: webhook, token_file: token, level: page}
`), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if chat := c.Notify["chat"]; chat.URL != "https://hooks.example.com/T0" || len(chat.Levels) != 1 || !chat.Foreign || chat.Repeat != unset {
		t.Errorf("chat %+v", chat)
	}
	if c.Alarms["hook"].Token != "0123456789abcdef" || c.Alarms["cw"].Level != "warn" {
		t.Errorf("alarms %+v %+v", c.Alarms["hook"], c.Alarms["cw"])
	}
	secret := map[string]bool{}
	for _, f := range c.Files() {
		secret[f.Key] = f.Secret
	}
	if !secret["notify.chat.url_file"] || !secret["alarms.hook.token_file"] || secret["config"] || len(secret) != 4 {
		t.Errorf("files %v", secret)
	}
}
