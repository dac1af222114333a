package doctor

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ports opens each address and closes it again. Where a node runs it holds them.
func (p *Plan) ports(ctx context.Context) *chart {
	c := &chart{area: "addresses"}
	for _, l := range p.Listen {
		if l.Network == "unix" {
			l.folder(c)
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.Address)
		switch {
		case err == nil:
			listener.Close()
			c.add(OK, l.Key, "", "%s can be opened", l.Address)
		case errors.Is(err, unix.EADDRINUSE) && p.Running:
			c.add(OK, l.Key, "", "%s is held, and the node of this config runs", l.Address)
		case errors.Is(err, unix.EADDRINUSE):
			c.add(Fail, l.Key, "`ss -ltnp` names the process; stop it, or choose another port", "another process holds %s, and no node of this config runs", l.Address)
		case errors.Is(err, unix.EACCES):
			c.add(Fail, l.Key, "a port from 1024 on, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit", "%s may not be opened by this user", l.Address)
		case errors.Is(err, unix.EADDRNOTAVAIL):
			c.add(Fail, l.Key, "an address of this machine, or *:PORT for all", "%s is not an address of this machine", l.Address)
		default:
			c.add(Fail, l.Key, "", "%s cannot be opened: %v", l.Address, err)
		}
	}
	return c
}

// folder looks at where a socket is to be made.
func (l Listen) folder(c *chart) {
	dir := filepath.Dir(l.Address)
	st, err := os.Stat(dir)
	if err == nil && !st.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err == nil {
		err = unix.Access(dir, unix.W_OK)
	}
	if err != nil {
		c.add(Fail, l.Key, "RuntimeDirectory=spillway in the unit, or another folder", "no socket can be made in %s: %v", dir, err)
		return
	}
	c.add(OK, l.Key, "", "a socket can be made in %s", dir)
}

// alarms tries every alarm channel, all at once.
func (p *Plan) alarms(ctx context.Context) *chart {
	c := &chart{area: "alarms"}
	type tried struct {
		took time.Duration
		err  error
	}
	outcomes := make([]chan tried, len(p.Channels))
	for i, one := range p.Channels {
		outcomes[i] = make(chan tried, 1)
		try := one.Reach
		if p.Send {
			try = one.Send
		}
		go func() {
			began := time.Now()
			err := try(ctx)
			outcomes[i] <- tried{time.Since(began), err}
		}()
	}
	for i, one := range p.Channels {
		r := <-outcomes[i]
		check := one.Name + " (" + one.Endpoint + ")"
		switch {
		case r.err != nil && p.Send:
			c.add(Fail, check, "mend address, key or token under notify."+one.Name+", or the way to it", "the test was not taken: %v", r.err)
		case r.err != nil:
			c.add(Fail, check, "mend the address under notify."+one.Name+", or the way to it", "it cannot be reached: %v", r.err)
		case p.Send:
			c.add(OK, check, "", "took the test after %s", r.took.Round(time.Millisecond))
		default:
			c.add(OK, check, "", "can be reached; --send sends a test")
		}
	}
	if len(p.Channels) == 0 {
		c.add(Warn, "notify", "name a channel under notify (docs/alerts.md)", "nobody is told of findings")
	}
	if p.Outside != "" {
		c.add(Warn, "alarms."+p.Outside, "an address in admin that senders reach, and its name in admin_names; or a proxy that does", "its sender must reach the admin address, which is for this machine alone")
	}
	return c
}
