package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"spillway/internal/config"
	"spillway/internal/notify"
	"spillway/internal/notify/alarm"
	"spillway/internal/notify/receive"
	"spillway/internal/notify/send"
)

// Least times between two requests to one endpoint: Slack takes one a second;
// PagerDuty's figures in public sources are 120 and 480 a minute.
const (
	slackGap     = time.Second
	pagerDutyGap = 500 * time.Millisecond
)

// alertmanagerRepeat is well inside Alertmanager's resolve_timeout of 5 min.
const alertmanagerRepeat = time.Minute

// channelsOf are the alarm channels of a config. An address that cannot be used
// leaves its channel out and is in the error; config has checked it before.
func channelsOf(c *config.Config) ([]notify.Channel, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var channels []notify.Channel
	var all error
	for _, name := range slices.Sorted(maps.Keys(c.Notify)) {
		one, err := channelOf(name, c.Notify[name], send.Endpoint{Region: c.Region, Node: host})
		if err != nil {
			all = errors.Join(all, fmt.Errorf("channel %s: %w", name, err))
			continue
		}
		channels = append(channels, one)
	}
	return channels, all
}

func channelOf(name string, c *config.Channel, e send.Endpoint) (notify.Channel, error) {
	channel := notify.Channel{
		Name: name, Kind: c.Type, Workloads: c.Workloads, Detectors: c.Detectors, Foreign: c.Foreign, Timeout: c.Timeout, Repeat: max(c.Repeat, 0),
	}
	for _, level := range c.Levels {
		channel.Levels = append(channel.Levels, alarm.Level(level))
	}
	e.Kind, e.Key, e.Token, e.CA = send.Kind(c.Type), c.Key, c.Token, c.Roots()
	switch e.Kind {
	case send.Alertmanager:
		if c.Repeat < 0 {
			channel.Repeat = alertmanagerRepeat
		}
	case send.Slack:
		channel.Gap = slackGap
	case send.PagerDuty:
		channel.Gap = pagerDutyGap
	case send.Webhook:
	}
	e.Repeat = channel.Repeat
	for _, address := range append([]string{c.URL}, c.Peers...) {
		e.URL = address
		sender, err := send.New(e)
		if err != nil {
			return channel, err
		}
		sum := sha256.Sum256([]byte(address + "\x00" + c.Key + "\x00" + c.Token))
		channel.Endpoints = append(channel.Endpoints, notify.Endpoint{Host: sender.Host(), Print: hex.EncodeToString(sum[:]), Sender: sender})
	}
	return channel, nil
}

// sourcesOf are the monitors that a config lets in.
func sourcesOf(c *config.Config) []receive.Source {
	var sources []receive.Source
	for name, s := range c.Alarms {
		sources = append(sources, receive.Source{
			Name: name, Kind: receive.Kind(s.Type), Token: s.Token, Key: s.Key, Topics: s.Topics, Level: alarm.Level(s.Level),
		})
	}
	return sources
}
