package detect

import (
	"fmt"
	"slices"
)

// lookDenied finds services whose logins fail at Spillway's door, DeniedMany
// times within seconds: report 003 is a library that does so and never stops.
func lookDenied(in *Input) []Suspicion {
	if in.Proxy == nil {
		return nil
	}
	var found []Suspicion
	for _, d := range in.Proxy.Denials {
		key := "denied/" + d.User + "/" + d.Application + "/" + d.Addr
		least := in.Bounds.DeniedMany
		if in.held(key) != None {
			least /= 2
		}
		if d.Recent < max(least, 1) {
			continue
		}
		name := "user " + d.User
		if d.Application != "" {
			name = d.Application + " (user " + d.User + ")"
		}
		found = append(found, Suspicion{
			Key: key, Level: Warn, Since: d.FirstAt,
			Summary: fmt.Sprintf("logins of %s from %s fail at Spillway's door: %d within seconds, %d since %s", name, d.Addr, d.Recent, d.Total, clock(d.FirstAt)),
			Evidence: []string{
				fmt.Sprintf("the last at %s; PostgreSQL saw none of them", clock(d.LastAt)),
			},
		})
	}
	slices.SortFunc(found, compareKeys)
	return found
}
