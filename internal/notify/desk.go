package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"spillway/internal/notify/alarm"
)

// Config is what a Desk is made of.
type Config struct {
	Store Store // nil keeps nothing over a restart
	// Found hears of channels that fail, and that they do no more. It is called
	// without a lock held and may call Take.
	Found func(alarm.Alarm)
	Note  func(kind string, body any) // into the record
	Log   *slog.Logger
}

// Desk passes alarms on to channels. Its methods are safe from any goroutine.
type Desk struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	dirty  chan struct{} // holds one token: there is something to keep
	life   sync.Mutex    // held over Start, Keep and Stop; taken before mu
	giving sync.Mutex    // held while an alarm goes to every lane; taken before mu

	mu       sync.Mutex
	lanes    map[string]*lane             // guarded by mu
	kept     map[string]map[string]thread // guarded by mu; of an earlier process, until its lane is made
	running  bool                         // guarded by mu
	troubles map[string]alarm.Alarm       // guarded by mu; what Found was told, by key
}

// New makes a desk without channels; alarms are taken from now on, and sent
// after Start.
func New(c Config) *Desk {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Found == nil {
		c.Found = func(alarm.Alarm) {}
	}
	if c.Note == nil {
		c.Note = func(string, any) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Desk{config: c, ctx: ctx, cancel: cancel, dirty: make(chan struct{}, 1), lanes: map[string]*lane{}, troubles: map[string]alarm.Alarm{}}
	d.kept = d.load()
	return d
}

// load reads what an earlier process kept. A file that cannot be read costs
// what it held, not the start.
func (d *Desk) load() map[string]map[string]thread {
	if d.config.Store == nil {
		return nil
	}
	text, err := d.config.Store.Load()
	var lanes map[string]map[string]thread
	if err == nil {
		lanes, err = decodeState(text)
	}
	if err == nil {
		return lanes
	}
	d.config.Log.Error("alarms of the last run are lost", "error", err)
	if f, ok := d.config.Store.(interface{ SetAside() error }); ok {
		if err := f.SetAside(); err != nil {
			d.config.Log.Error("alarm queue not set aside", "error", err)
		}
	}
	return nil
}

// Start begins to send.
func (d *Desk) Start() error {
	d.life.Lock()
	defer d.life.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running || d.ctx.Err() != nil {
		return errors.New("start alarms: it was started or stopped before")
	}
	d.running = true
	for _, l := range d.lanes {
		d.launch(l)
	}
	if d.config.Store != nil {
		d.work.Go(d.keeper)
	}
	d.work.Go(d.sweeper)
	return nil
}

// launch starts a lane; the caller holds mu.
func (d *Desk) launch(l *lane) {
	ctx, cancel := context.WithCancel(d.ctx)
	l.cancel = cancel
	d.work.Go(func() { l.run(ctx) })
}

// Stop ends what is in flight, keeps what is unsent and returns.
func (d *Desk) Stop(ctx context.Context) error {
	d.life.Lock()
	defer d.life.Unlock()
	d.cancel()
	ended := make(chan error, 1)
	go func() { d.work.Wait(); ended <- d.save() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop alarms: the queue is not kept: %w", ctx.Err())
	}
}

// Take queues an alarm for every channel that wants it and returns at once.
func (d *Desk) Take(a alarm.Alarm) {
	if a.Key == "" {
		return
	}
	a = a.Bounded()
	// One after the other: a channel that fails with this alarm is an alarm itself,
	// and no other channel is to have that first.
	d.giving.Lock()
	defer d.giving.Unlock()
	now := time.Now()
	for _, l := range d.all() {
		l.take(a, now)
	}
}

func (d *Desk) all() []*lane {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]*lane, 0, len(d.lanes))
	for _, l := range d.lanes {
		all = append(all, l)
	}
	return all
}

// Keep takes the channels that hold from now on. A channel that stays keeps its
// queue; that of one that goes is lost.
func (d *Desk) Keep(channels []Channel) {
	d.life.Lock()
	defer d.life.Unlock()
	here := map[string]bool{}
	for _, c := range channels {
		for i, e := range c.Endpoints {
			name := c.laneName(i)
			here[name] = true
			d.keepLane(name, c, e)
		}
	}
	for _, l := range d.all() {
		if !here[l.name] {
			d.drop(l)
		}
	}
	d.keepSoon()
}

func (d *Desk) keepLane(name string, c Channel, e Endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[name]; l != nil {
		l.keep(c, e)
		return
	}
	l := &lane{
		name: name, tell: d.config.Note, change: d.keepSoon, ailing: d.ailing, log: d.config.Log,
		wake: make(chan struct{}, 1), queue: newQueue(c.Repeat), channel: c, endpoint: e,
	}
	l.queue.restore(d.kept[name])
	delete(d.kept, name)
	d.lanes[name] = l
	if d.running {
		d.launch(l)
	}
}

// drop ends a lane whose channel is no more.
func (d *Desk) drop(l *lane) {
	d.mu.Lock()
	delete(d.lanes, l.name)
	if l.cancel != nil {
		l.cancel()
	}
	d.mu.Unlock()
	l.mu.Lock()
	waiting, _, _ := l.queue.depth()
	channel := l.channel.Name
	l.mu.Unlock()
	if waiting > 0 {
		d.config.Log.Warn("a channel is gone with alarms that were not sent", "channel", l.name, "alarms", waiting)
	}
	d.review(channel)
}

// sweeper calls over what an earlier process told and nobody has found again.
func (d *Desk) sweeper() {
	timer := time.NewTimer(carriedFor)
	defer timer.Stop()
	select {
	case <-d.ctx.Done():
		return
	case <-timer.C:
	}
	for _, l := range d.all() {
		l.mu.Lock()
		more := l.queue.sweep(time.Now())
		l.mu.Unlock()
		if more {
			l.change()
			l.nudge()
		}
	}
}
