package config

import (
	"fmt"
	"regexp"
)

// jobName is what `spillway job run` takes: it stands in application_name,
// together with a number.
var jobName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

func (k *checker) checkJobs() {
	for _, name := range sortedKeys(k.c.Jobs) {
		j, path := k.c.Jobs[name], join("jobs", name)
		d := Database{Server: j.Server}
		k.settleServer(path, &d)
		j.Server = d.Server
		if !jobName.MatchString(name) {
			k.fail(path, complaint{what: fmt.Sprintf("job name %s is not 1 to 40 letters, digits, dots, dashes and underscores", quoteKey(name)),
				why: "it stands in application_name", mend: "nightly-cleanup:"})
		}
		if j.Every <= 0 && !k.broken(join(path, "every")) {
			k.fail(path, complaint{what: fmt.Sprintf("job %s does not say how often it is to start", quoteKey(name)), mend: "every: 1m"})
		}
	}
}
