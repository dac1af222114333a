package node

import (
	"time"

	"spillway/internal/config"
	"spillway/internal/detect"
)

// boundsOf are the detectors' bounds as a config sets them.
func boundsOf(*config.Config) detect.Bounds { return detect.Defaults() }

// objectivesOf are the config's objectives; without any, one for the critical
// workloads, or for all where none is critical.
func objectivesOf(c *config.Config) []detect.Objective {
	o := detect.Objective{Name: "all", Target: 0.999, Wait: time.Second, Window: 30 * 24 * time.Hour}
	for name, w := range c.Workloads {
		if w.Class == "critical" {
			o.Name, o.Workloads = "critical", append(o.Workloads, name)
		}
	}
	return []detect.Objective{o}
}
