package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one row of SHOW CONFIG.
type Setting struct {
	Key, Value, Default string
	Changeable          bool // by reload, without a restart
}

// hiddenValue stands for a secret that is set.
const hiddenValue = "(hidden)"

// Settings are the rows of SHOW CONFIG, sorted by key: PgBouncer's settings
// under its names and in its units (seconds, 0 and 1), ours under their path in
// the file. Secrets are hidden; values from the environment show as ${NAME}.
func (c *Config) Settings() []Setting {
	defaults := defaultConfig()
	rows := c.listenSettings(defaults)
	rows = append(rows, c.serverSettings()...)
	rows = append(rows, Setting{Key: "conffile", Value: c.origin.name(), Changeable: false})
	for _, k := range table() {
		switch k.kind {
		case kindNamed:
		case kindSection:
			for i := range k.keys {
				rows = c.setting(rows, &k.keys[i], k.at(c), k.at(defaults), k.name)
			}
		default:
			rows = c.setting(rows, &k, c, defaults, "")
		}
	}
	for i := range rows {
		rows[i].Value = c.origin.scrub(rows[i].Value)
	}
	slices.SortFunc(rows, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	return rows
}

func (o *origin) name() string {
	if o.src == nil {
		return ""
	}
	return o.src.Name
}

// defaultConfig is a Config of nothing but defaults; it has no server.
func defaultConfig() *Config {
	c, d := &Config{}, &decoder{}
	d.fill(table(), c, nil, "")
	return c
}

func (c *Config) setting(rows []Setting, k *key, owner, defaults any, path string) []Setting {
	path = join(path, k.name)
	row := Setting{Key: path, Value: k.format(owner), Default: k.format(defaults), Changeable: !k.restart}
	if k.peer != "" {
		if strings.Contains(k.peer, "listen_addr") {
			return rows
		}
		row.Key, _, _ = strings.Cut(k.peer, ",")
		row.Value, row.Default = peerValue(k, owner), peerValue(k, defaults)
	}
	if k.secret && row.Value != "" {
		row.Value = hiddenValue
	}
	return append(rows, row)
}

// peerValue is a value as PgBouncer would write it.
func peerValue(k *key, owner any) string {
	switch p := k.at(owner).(type) {
	case *bool:
		if *p {
			return "1"
		}
		return "0"
	case *time.Duration:
		if k.name == "tcp_keepalive" {
			return strconv.Itoa(min(int(*p), 1))
		}
		return strconv.FormatFloat(p.Seconds(), 'f', -1, 64)
	case *Bytes:
		return strconv.FormatInt(int64(*p), 10)
	}
	if k.name == "level" {
		if *k.at(owner).(*string) == "debug" {
			return "1"
		}
		return "0"
	}
	return k.format(owner)
}

// listenSettings splits listen into PgBouncer's three settings.
func (c *Config) listenSettings(defaults *Config) []Setting {
	now, was := c.listenParts(), defaults.listenParts()
	rows := make([]Setting, 0, len(now))
	for i, name := range []string{"listen_addr", "listen_port", "unix_socket_dir"} {
		rows = append(rows, Setting{Key: name, Value: now[i], Default: was[i]})
	}
	return rows
}

func (c *Config) listenParts() [3]string {
	var addresses, dirs []string
	port := ""
	for _, l := range c.listens() {
		if l.Network == "unix" {
			dirs = append(dirs, strings.TrimSuffix(l.Address[:strings.LastIndexByte(l.Address, '/')+1], "/"))
			continue
		}
		host := strings.Trim(strings.TrimSuffix(l.Address, ":"+portOf(l.Address)), "[]")
		addresses = append(addresses, cmp.Or(host, "*"))
		port = cmp.Or(port, portOf(l.Address))
	}
	return [3]string{strings.Join(addresses, ","), cmp.Or(port, defaultListenPort), strings.Join(dirs, ",")}
}

// serverSettings are PgBouncer's global settings that are ours per server; with
// several servers that differ the values are listed by name.
func (c *Config) serverSettings() []Setting {
	var rows []Setting
	table := serverKeys()
	blank := &Server{}
	for i := range table {
		table[i].setDefault(blank)
	}
	for i := range table {
		k := &table[i]
		if !strings.HasPrefix(k.peer, "server_tls_") && k.peer != "dns_max_ttl" || k.name == "ssl_max_protocol_version" {
			continue
		}
		var values, named []string
		for _, name := range sortedKeys(c.Servers) {
			v := peerValue(k, c.Servers[name])
			values, named = append(values, v), append(named, name+"="+v)
		}
		value := strings.Join(named, ", ")
		if slices.Sort(values); len(slices.Compact(values)) == 1 {
			value = values[0]
		}
		rows = append(rows, Setting{Key: k.peer, Value: value, Default: peerValue(k, blank), Changeable: true})
	}
	return rows
}
