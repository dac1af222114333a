package incident

import (
	"encoding/json"
	"time"
)

// Attach finds the incident on whose timeline an event of another room stands:
// the one that its body names, or the one opened last that is not over. "" is
// none.
func (b *Book) Attach(body []byte, at time.Time) string {
	var named struct {
		Incident string `json:"incident"`
		Upstream string `json:"upstream"`
	}
	_ = json.Unmarshal(body, &named) // a body that is no object names nothing
	if named.Incident != "" {
		if i, err := b.find(named.Incident); err == nil {
			return i.ID
		}
	}
	about := Finding{Upstream: named.Upstream}
	for _, i := range b.Live() {
		over := i.At(AllRestored)
		if (i.Status == Open || at.Sub(over) < b.rules.Merge) && i.related(&about) {
			return i.ID
		}
	}
	return ""
}

// Who finds who did something in a body of another room.
func Who(body []byte) string {
	var named struct {
		Who   string `json:"who"`
		Actor string `json:"actor"`
	}
	_ = json.Unmarshal(body, &named)
	return nameOr(named.Who, named.Actor)
}
