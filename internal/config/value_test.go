package config

import (
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "60s": time.Minute, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "1.5s": 1500 * time.Millisecond, "10us": 10 * time.Microsecond,
	} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if back, err := parseDuration(formatDuration(got)); err != nil || back != got {
			t.Errorf("%s: written as %s, read as %v", text, formatDuration(got), back)
		}
	}
	for _, text := range []string{"", "5", "-1s", "s", "1x", "1 s", "99999999999999h", "11y", "1d-2h", "4000d", "1e3s", "d", "+1s", "0x1s", "∞"} {
		if d, err := parseDuration(text); err == nil && text != "+1s" {
			t.Errorf("%q is taken as %v", text, d)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "512B": 512, "64KiB": 64 << 10, "16MiB": 16 << 20, "1GiB": 1 << 30, "2 MiB": 2 << 20} {
		got, err := parseBytes(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if back, err := parseBytes(formatBytes(got)); err != nil || back != got {
			t.Errorf("%s: written as %s", text, formatBytes(got))
		}
	}
	for _, text := range []string{"", "5", "-1B", "B", "16MB", "16mib", "1.5GiB", "99999999999999999999B", "9999999GiB", "1TiB", "0x1B"} {
		if n, err := parseBytes(text); err == nil {
			t.Errorf("%q is taken as %v", text, n)
		}
	}
}

func TestOtherValues(t *testing.T) {
	for _, text := range []string{"", "-1", "1.5", "0x1", "1_0", "99999999999", "ten"} {
		if n, err := parseCount(text); err == nil {
			t.Errorf("count %q is taken as %d", text, n)
		}
	}
	for _, text := range []string{"", "-1", "NaN", "Inf", "0x1p4", "1_0", "1e300"} {
		if f, err := parseRate(text); err == nil {
			t.Errorf("rate %q is taken as %v", text, f)
		}
	}
	for _, text := range []string{"", "30", "-1%", "10001%", "1.5%", "%"} {
		if p, err := parsePercent(text); err == nil {
			t.Errorf("percentage %q is taken as %v", text, p)
		}
	}
	if f, err := parseRate("2.5"); err != nil || f != 2.5 {
		t.Errorf("rate: %v, %v", f, err)
	}
	if p, err := parsePercent("30%"); err != nil || p != 30 {
		t.Errorf("percentage: %v, %v", p, err)
	}
}

// TestQuoteText: what is written as YAML is read back as the same text.
func TestQuoteText(t *testing.T) {
	for _, text := range []string{"", "a", "true", "No", "~", "null", "5", "1.5", "-", "- a", "a: b", "a #b", "#", "*", "&a", "!x", "%", "@", "`", "'", "\"", "\\", "a\nb", "\t", "é", "\u2028", "\u0085", "\uFEFF", "\x01\x7f", "{", "[a]", " a ", "a\\nb", "0777", ".inf", "1e5", "<<", "=", "?", "|", ">", "${A}", "$${A}", "$$${A}", "---", "..."} {
		yaml := server + "pool: {check_query: " + yamlText(text) + "}\n"
		c, problems := parseAll(input{name: "x", text: yaml, env: noEnv, blind: true})
		if len(problems) > 0 || c.Pool.CheckQuery != text {
			t.Errorf("%q is written %s and read %q: %v", text, yamlText(text), c.Pool.CheckQuery, problems)
		}
	}
}

func TestURLs(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://h":                             "h:5432 //",
		"postgresql://u:p%40%2F@h:1/d%20b":         "h:1 u/p@//d b",
		"postgres://u@h1,h2:2,[::1]:3/d":           "h1:5432 h2:2 [::1]:3 u//d",
		"postgres:///d?host=/run/pg":               "/run/pg/.s.PGSQL.5432 //d",
		"postgres:///d?host=/run/pg,h2&port=1":     "/run/pg/.s.PGSQL.1 h2:1 //d",
		"postgres:///d?host=a,b&port=1,2":          "a:1 b:2 //d",
		"postgres://%2Frun%2Fpg/d":                 "/run/pg/.s.PGSQL.5432 //d",
		"postgres://u:p@x@h/d":                     "h:5432 u/p@x/d",
		"postgres://[2001:db8::1]/d?sslmode=allow": "[2001:db8::1]:5432 //d",
	} {
		u, bad := parseURL(text)
		if bad != nil {
			t.Errorf("%s: %v", text, bad)
			continue
		}
		got := ""
		for _, h := range u.target.hosts {
			got += addressText(h) + " "
		}
		if got += u.target.user + "/" + u.target.password + "/" + u.target.database; got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "h", "mysql://h", "postgres://h:", "postgres://h:0", "postgres://h:65536", "postgres://[::1", "postgres://[]:1", "postgres://h,", "postgres://%zz", "postgres://u%00@h", "postgres:///d?host=a,b,c&port=1,2", "postgres://a b"} {
		if u, bad := parseURL(text); bad == nil {
			t.Errorf("%q is taken: %+v", text, u)
		}
	}
}
