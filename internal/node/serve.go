package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"spillway/internal/config"
	"spillway/internal/console"
	"spillway/internal/proxy"
	"spillway/internal/web"
)

// Build says what is running.
type Build struct{ Version, Revision string }

// ServeOptions are what the command line says.
type ServeOptions struct {
	Config     string        // path of spillway.yaml
	Pidfile    string        // "" = none
	DrainDelay time.Duration // between failing readiness and turning clients away
	Build      Build
	Log        io.Writer
}

// Serve runs a node until a signal or a verb ends it. The error is
// config.Problems when the file is the reason.
func Serve(o ServeOptions) error {
	// Before anything else: a HUP meanwhile must not end the process.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGTERM, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	// A log that nobody reads any more must not end the process either.
	signal.Ignore(unix.SIGPIPE)

	loaded, err := config.Load(o.Config)
	if err != nil {
		return err
	}
	setup := setupOf(loaded, nil)
	log, err := openLog(o.Log, setup.Log)
	if err != nil {
		return err
	}
	defer log.Close()
	for _, warning := range loaded.Warnings() {
		log.Warn("config", "warning", warning.Error())
	}
	n, err := wire(o, setup, log)
	if err != nil {
		return err
	}
	return n.Run(signals)
}

// wire makes every room and joins them; nothing is left open after an error.
func wire(o ServeOptions, setup *Setup, log *journal) (*Node, error) {
	system, err := newSupervisor()
	if err != nil {
		return nil, err
	}
	raiseFilesFor(setup.Policy, log.Logger)
	sockets, err := inheritListeners()
	if err != nil {
		return nil, err
	}
	hot, back, asked := new(hotpath), new(handle), new(actionsLink)
	hotConfig := setup.config.Proxy()
	hotConfig.Policy = setup.Policy
	hotConfig.Listen = sockets.listen(hotConfig.Listen)
	hotConfig.Log = log.With("room", "proxy")
	hotConfig.Console = console.New(console.Config{
		Verbs: hot, Facts: hot,
		Settings: consoleControl{back}, Control: consoleControl{back},
		Version:   o.Build.Version,
		Contained: hot, Actions: asked, Verbed: asked.verbed,
	})
	pooler, err := proxy.New(hotConfig)
	if err != nil {
		return nil, err
	}
	hot.Facts, hot.Verbs, hot.Containment, hot.Watcher = pooler, pooler, pooler, pooler
	heard := &word{log: log.Logger}
	joined := &seam{handle: back, setup: setup, hot: hot, log: log.Logger, build: o.Build, note: heard.note, word: heard, actions: asked}
	rooms, err := joinAll(joined)
	if err != nil {
		return nil, errors.Join(err, pooler.Close())
	}
	served := webConfig(o, setup.config, webControl{back}, hot, log.With("room", "web"))
	served.Note = heard.note
	served.Routes, served.Metrics, served.Findings = rooms.routes, rooms.metrics, joined.shown
	admin, err := web.New(served)
	if err == nil {
		// What stood when the process before this one ended holds from the first client on.
		err = pooler.Apply(joined.overlay(setup.Policy))
	}
	if err != nil {
		return nil, errors.Join(err, stopServices(rooms.services), pooler.Close())
	}
	spare := newThrift(log.Logger)
	services := append(rooms.services, service{"admin address", admin.Start, admin.Stop}, service{"thrift", spare.Start, spare.Stop})
	if o.Pidfile != "" {
		services = append(services, service{"pidfile",
			func() error { return writePidfile(o.Pidfile) },
			func(context.Context) error { return removePidfile(o.Pidfile) }})
	}
	started := setup.config
	back.node = newNode(parts{
		log:      log.Logger,
		applyLog: log.apply,
		load: func(before *Setup) (*Setup, error) {
			next, err := config.Load(o.Config)
			if err != nil {
				return nil, err
			}
			s := setupOf(next, before)
			_, s.Restart = config.Diff(started, next)
			return s, nil
		},
		setup:    setup,
		pooler:   pooler,
		services: services,
		overlay:  joined.overlay,
		applied: func(c *config.Config) {
			rooms.apply(c)
			admin.Admit(grantsOf(c, log.Warn))
		},
		system:     system,
		drainDelay: o.DrainDelay,
		announce:   func() { announce(o.Build, hot, admin, log.Logger) },
	})
	return back.node, nil
}

// announce writes the one line that says what serves where.
func announce(b Build, facts proxy.Facts, admin *web.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	gauges, err := facts.Gauges(ctx)
	if err != nil {
		log.Warn("the event loops do not answer yet", "error", err)
		return
	}
	address := "none"
	if addr := admin.Addr(); addr != nil {
		address = addr.String()
	}
	log.Info("serving", "version", b.Version, "listen", strings.Join(gauges.Listeners, " "), "admin", address,
		"driver", gauges.Driver, "loops", gauges.Loops)
}

// socketPathBytes is the longest path of a unix socket.
const socketPathBytes = 107

// AdminSocket is where the API of a node with this data folder listens for
// commands of the same machine.
func AdminSocket(dataDir string) string { return filepath.Join(dataDir, "admin.sock") }

// webConfig is what the admin server is made of. A data folder that cannot be
// had costs the command line its socket, not the pooler its start.
func webConfig(o ServeOptions, c *config.Config, control webControl, hot *hotpath, log *slog.Logger) web.Config {
	socket := AdminSocket(c.DataDir)
	if err := socketFolder(socket); err != nil {
		log.Warn("no admin socket: commands such as `spillway pools` will not reach this node", "error", err)
		socket = ""
	}
	if len(c.Peers) > 0 && socket != "" {
		letThrough(filepath.Dir(socket), log)
	}
	return web.Config{
		Listen: c.Admin, ReusePort: c.ReusePort, Names: c.AdminNames, Socket: socket,
		Facts: hot, Verbs: hot, Health: control, Control: control,
		Grants: grantsOf(c, log.Warn), Build: web.Build(o.Build), Log: log,
	}
}

func socketFolder(socket string) error {
	if len(socket) > socketPathBytes {
		return fmt.Errorf("path %s is longer than %d bytes; choose a shorter data_dir", socket, socketPathBytes)
	}
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return fmt.Errorf("make data_dir: %w", err)
	}
	if err := unix.Access(filepath.Dir(socket), unix.W_OK); err != nil {
		return fmt.Errorf("write to data_dir %s: %w", filepath.Dir(socket), err)
	}
	return nil
}

// letThrough lets the peers of the config reach the socket in data_dir: they may
// pass through the folder, not list it.
func letThrough(folder string, log *slog.Logger) {
	found, err := os.Stat(folder)
	if err == nil && found.Mode()&0o011 != 0o011 {
		err = os.Chmod(folder, found.Mode().Perm()|0o011)
	}
	if err != nil {
		log.Warn("peers may not reach the admin socket: data_dir does not let them through", "error", err)
	}
}

// unknownBudget stands for the connections of an upstream that is asked later.
const unknownBudget = 100

// filesFor is how many files the policy allows to be open at once.
func filesFor(p *proxy.Policy) uint64 {
	need := uint64(fixedFiles + p.Limits.MaxClients)
	for _, u := range p.Upstreams {
		if u.MaxConnections > 0 {
			need += uint64(u.MaxConnections)
		} else {
			need += unknownBudget
		}
	}
	return need
}

// raiseFilesFor raises the limit of open files to what the policy allows to be
// open at once, and warns when it stays below.
func raiseFilesFor(p *proxy.Policy, log *slog.Logger) {
	need := filesFor(p)
	limit, err := raiseFiles(need)
	if err != nil {
		log.Warn("limit of open files not raised", "error", err)
	}
	if limit < need {
		log.Warn("fewer open files are allowed than the config may need: clients above that are refused",
			"limit", limit, "need", need, "mend", "raise LimitNOFILE of the unit, or lower limits.max_clients")
	}
}
