package config

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Least length of tokens and keys that others must know: shorter ones can be
// guessed over the network.
const shortestToken = 16

func (k *checker) checkNotify() {
	for _, name := range sortedKeys(k.c.Notify) {
		k.checkChannel(join("notify", name), k.c.Notify[name])
	}
	for _, name := range sortedKeys(k.c.Alarms) {
		k.checkAlarmSource(join("alarms", name), name, k.c.Alarms[name])
	}
	for _, name := range k.c.AdminNames {
		if name == "" || strings.ContainsAny(name, ":/ \t") {
			k.fail("admin_names", complaint{what: fmt.Sprintf("admin name %q is no host name", name), mend: "admin_names: [spillway.example.com], without a port"})
		}
	}
}

func (k *checker) checkChannel(at string, c *Channel) {
	k.readWord(at, "url", &c.URL, c.URLFile)
	k.readWord(at, "key", &c.Key, c.KeyFile)
	k.readWord(at, "token", &c.Token, c.TokenFile)
	if c.CA != "" {
		c.roots, _ = k.roots(join(at, "ca"), c.CA)
	}
	if c.Type == "" && !k.broken(join(at, "type")) {
		k.fail(at, complaint{what: at + " has no type", mend: "type: slack, pagerduty, alertmanager or webhook"})
	}
	if c.URL == "" && c.Type != "pagerduty" && c.Type != "" && c.URLFile == "" {
		k.fail(k.nearer(join(at, "url"), at), complaint{what: fmt.Sprintf("%s has no url", at), mend: "url: ${NAME}, or url_file"})
	}
	if c.Type == "pagerduty" && c.Key == "" && c.KeyFile == "" {
		k.fail(k.nearer(join(at, "key"), at), complaint{what: fmt.Sprintf("%s has no key", at), why: "PagerDuty takes nothing without the routing key", mend: "key: ${PAGERDUTY_KEY}, or key_file"})
	}
	k.checkAddress(join(at, "url"), c.URL)
	for i, peer := range c.Peers {
		k.checkAddress(join(at, "peers"), peer)
		if peer == c.URL || slices.Contains(c.Peers[:i], peer) {
			k.fail(join(at, "peers"), complaint{what: fmt.Sprintf("%s names one address twice", at), mend: "leave one out"})
		}
	}
	if len(c.Peers) > 0 && c.Type != "alertmanager" {
		k.fail(join(at, "peers"), complaint{what: fmt.Sprintf("peers are for alertmanager, and %s is %s", at, c.Type), mend: "name another channel instead"})
	}
	if len(c.Levels) == 0 && !k.broken(join(at, "levels")) {
		k.fail(join(at, "levels"), complaint{what: fmt.Sprintf("%s has no levels", at), why: "nothing would go there", mend: "levels: [warn, page]"})
	}
	k.checkGlobs(join(at, "workloads"), c.Workloads)
	k.checkGlobs(join(at, "detectors"), c.Detectors)
	if c.Timeout <= 0 || c.Timeout > longestSend {
		k.fail(join(at, "timeout"), complaint{what: fmt.Sprintf("timeout %s is not between 0 and %s", formatDuration(c.Timeout), formatDuration(longestSend)), mend: "timeout: 10s"})
	}
	if c.Repeat > 0 && c.Repeat < shortestRepeat {
		k.fail(join(at, "repeat"), complaint{what: fmt.Sprintf("repeat %s is less than %s", formatDuration(c.Repeat), formatDuration(shortestRepeat)), mend: "repeat: 1m"})
	}
}

// Bounds on channels' times.
const (
	longestSend    = 60e9 // ns: an endpoint that takes longer is as good as away
	shortestRepeat = 10e9 // ns
)

func (k *checker) checkGlobs(at string, globs []string) {
	for _, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil || glob == "" {
			k.fail(at, complaint{what: fmt.Sprintf("%q is not a glob", glob), mend: `"batch-*"`})
		}
	}
}

// checkAddress holds an address to http or https. It may be a secret: no
// message repeats it.
func (k *checker) checkAddress(at, text string) {
	if text == "" || k.broken(at) {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		k.fail(at, complaint{what: at + " is not an address of http or https", mend: "https://host/path"})
	}
}

// readWord settles a secret given directly or in a file.
func (k *checker) readWord(section, name string, value *string, file string) {
	if file == "" {
		return
	}
	at := join(section, name+"_file")
	if *value != "" {
		k.fail(at, complaint{what: fmt.Sprintf("%s and %s_file are both given", name, name), mend: "keep one of them"})
		return
	}
	content, ok := k.readFile(at, file, largestSecret)
	if !ok {
		return
	}
	line, _, _ := strings.Cut(string(content), "\n")
	line = strings.TrimSpace(line)
	if line == "" || strings.ContainsAny(line, "\x00") {
		k.fail(at, complaint{what: fmt.Sprintf("first line of %s is empty", k.resolve(file)), mend: "put the value alone on the first line"})
		return
	}
	*value = line
}

func (k *checker) checkAlarmSource(at, name string, s *AlarmSource) {
	k.readWord(at, "token", &s.Token, s.TokenFile)
	k.readWord(at, "key", &s.Key, s.KeyFile)
	if s.Type == "" && !k.broken(join(at, "type")) {
		k.fail(at, complaint{what: at + " has no type", mend: "type: alertmanager, sns or webhook"})
	}
	if strings.ContainsAny(name, "/?#% \t") || name == "." || name == ".." {
		k.fail(at, complaint{what: fmt.Sprintf("the name %q does not fit into an address", name), why: "alarms come to /api/v1/alarms/NAME", mend: "use letters, digits and -"})
	}
	for word, value := range map[string]string{"token": s.Token, "key": s.Key} {
		if value != "" && len(value) < shortestToken {
			k.fail(k.nearer(join(at, word), join(at, word+"_file")), complaint{what: fmt.Sprintf("%s of %s is shorter than %d characters", word, at, shortestToken), why: "it could be guessed", mend: "openssl rand -hex 24 makes one"})
		}
	}
	if s.Type != "sns" && s.Type != "" && s.Token == "" && s.TokenFile == "" {
		k.fail(k.nearer(join(at, "token"), at), complaint{what: at + " has no token", why: "anybody could raise alarms", mend: "token_file: alarms.token; openssl rand -hex 24 makes one"})
	}
	if s.Type == "sns" && len(s.Topics) == 0 {
		k.fail(k.nearer(join(at, "topics"), at), complaint{what: at + " names no topic", why: "SNS signs the messages of everybody's topics", mend: "topics: [\"arn:aws:sns:REGION:ACCOUNT:TOPIC\"]"})
	}
	for _, topic := range s.Topics {
		if parts := strings.Split(topic, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || parts[3] == "" || parts[5] == "" {
			k.fail(join(at, "topics"), complaint{what: fmt.Sprintf("topic %q is not an ARN of SNS", topic), mend: "arn:aws:sns:REGION:ACCOUNT:TOPIC"})
		}
	}
	if s.Key != "" && s.Type != "webhook" {
		k.fail(k.nearer(join(at, "key"), join(at, "key_file")), complaint{what: fmt.Sprintf("key is for webhook, and %s is %s", at, s.Type), mend: "leave it out"})
	}
}
