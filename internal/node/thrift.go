package node

import (
	"context"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// thrift gives memory back when things have been calm: logins and reloads leave
// garbage, and the collector lets as much again gather before it looks. While a
// node is busy it keeps the runtime's own target; messages make no garbage, so a
// calm node is one without logins, not one without work.
type thrift struct {
	log  *slog.Logger
	stop context.CancelFunc
	done sync.WaitGroup

	readings [5]metrics.Sample
	made     uint64    // bytes allocated at the last look
	quiet    int       // looks in a row that found little made
	gaveAt   time.Time // when memory was last given back
	flood    bool      // much was made since then
	busy     int       // the collector's target the process was started with
	calm     bool      // the lower target holds
}

const (
	// thriftEvery is how often thrift looks; a look reads counters.
	thriftEvery = 500 * time.Millisecond
	// thriftLooks quiet looks in a row make a node calm.
	thriftLooks = 2
	// thriftBytes made between two looks is the most that is quiet.
	thriftBytes = 512 << 10
	// thriftPause and thriftAgain are the least time between two times that memory
	// is given back, after a flood and without one; each costs one collection.
	thriftPause = 2 * time.Second
	thriftAgain = 30 * time.Second
	// thriftGain is what must be to be gained: unused bytes that the system has
	// not got back, beyond an eighth of those in use.
	thriftGain = 512 << 10
	// thriftTarget is the collector's target while calm, in percent of garbage over
	// what is in use; the runtime's own is 100.
	thriftTarget = 20
)

func newThrift(log *slog.Logger) *thrift {
	t := &thrift{log: log, flood: true, busy: targetNow()}
	for i, name := range [...]string{"/gc/heap/allocs:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes",
		"/memory/classes/heap/free:bytes", "/gc/heap/live:bytes"} {
		t.readings[i].Name = name
	}
	return t
}

// targetNow is the collector's target in percent; GOGC may have set it.
func targetNow() int {
	one := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(one)
	return int(one[0].Value.Uint64()) // off is -1 in its bits
}

func (t *thrift) Start() error {
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	t.done.Go(func() {
		tick := time.NewTicker(thriftEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				t.look(now)
			}
		}
	})
	return nil
}

func (t *thrift) Stop(context.Context) error {
	t.stop()
	t.done.Wait()
	t.settle(false)
	return nil
}

// look counts quiet looks and gives memory back after enough of them.
func (t *thrift) look(now time.Time) {
	metrics.Read(t.readings[:])
	made := t.readings[0].Value.Uint64()
	more := made - t.made
	t.made = made
	if more > thriftBytes {
		t.quiet, t.flood = 0, true
		t.settle(false)
		return
	}
	if t.quiet++; t.quiet < thriftLooks {
		return
	}
	t.settle(true)
	pause := thriftAgain
	if t.flood {
		pause = thriftPause
	}
	if now.Sub(t.gaveAt) < pause || t.unused() < thriftGain {
		return
	}
	t.gaveAt, t.flood = now, false
	begun := time.Now()
	debug.FreeOSMemory()
	t.log.Debug("memory given back", "took", time.Since(begun))
}

// unused is how many bytes are held for nothing, beyond what is reasonable.
func (t *thrift) unused() int64 {
	read := func(i int) int64 { return int64(t.readings[i].Value.Uint64()) }
	live := read(4)
	return read(1) + read(2) + read(3) - live - live/8
}

// settle sets the collector's target for a calm or a busy node. One that is
// lower already, or off, is left.
func (t *thrift) settle(calm bool) {
	if calm == t.calm || t.busy <= thriftTarget {
		return
	}
	t.calm = calm
	target := t.busy
	if calm {
		target = thriftTarget
	}
	debug.SetGCPercent(target)
}
