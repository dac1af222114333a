package node

import (
	"spillway/internal/config"
	"spillway/internal/detect"
	"spillway/internal/detect/rules"
)

// Rules are Prometheus rules with the bounds of a config; nil stands for none.
func Rules(c *config.Config) []byte {
	b := detect.Defaults()
	if c != nil {
		b = boundsOf(c)
	}
	return rules.YAML(&b)
}

// Dashboard is a Grafana dashboard.
func Dashboard() []byte { return rules.Dashboard() }
