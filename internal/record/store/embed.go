package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// ErrLocked says that another process has the log of this folder open: during a
// take-over, the process before.
var ErrLocked = errors.New("another process has this log open")

// Bounds of the embedded server.
const (
	startWithin = 10 * time.Second
	// memoryBytes is what the server may keep in memory streams: its consumers' state.
	memoryBytes = 16 << 20
	// storeBytes bounds the server, far above what retention allows the log.
	storeBytes = 1 << 40
)

// embedded is a NATS server of this process without a port.
type embedded struct {
	server *server.Server
	lock   *os.File
	failed *failure
}

// failure is what the server could not write. It never answers such a write; its
// log is where it says so.
type failure struct {
	once sync.Once
	seen chan struct{} // closed when something could not be written
	text string        // what; set before seen is closed
}

// look takes note of a line that says that something was not written.
func (f *failure) look(text string) {
	for _, sign := range []string{"failed to store a msg", "write error", "will be DISABLED", "out of space", "out of resources"} {
		if strings.Contains(text, sign) {
			f.once.Do(func() {
				f.text = text
				close(f.seen)
			})
		}
	}
}

// embed locks the folder and starts the server on it.
func embed(ctx context.Context, c Config) (*embedded, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the log: %w", err)
	}
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{lock: lock, failed: &failure{seen: make(chan struct{})}}
	e.server, err = server.NewServer(&server.Options{
		ServerName: "spillway-" + c.token(), DontListen: true, NoSigs: true, NoSystemAccount: true,
		JetStream: true, JetStreamDomain: "spillway-" + c.token(), DisableJetStreamBanner: true,
		JetStreamMaxMemory: memoryBytes, JetStreamMaxStore: storeBytes,
		// By default acknowledged writes reach the disk up to two minutes later.
		StoreDir: c.Dir, SyncAlways: true, MaxPayload: maxPayload,
	})
	if err != nil {
		e.close()
		return nil, fmt.Errorf("make embedded NATS: %w", err)
	}
	// Without a log of its own a fatal error of the server would be silent.
	e.server.SetLoggerV2(&serverLog{c.Log, e.failed}, false, false, false)
	e.server.Start()
	wait := startWithin
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	if !e.server.ReadyForConnections(wait) || !e.server.JetStreamEnabled() {
		e.close()
		return nil, errors.New("start embedded NATS: JetStream does not come up; the log lines before this say why")
	}
	return e, nil
}

// lockFolder takes the folder for this process; the kernel gives it back when
// the process ends, however it ends.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the log: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("open %s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("lock the log: %w", err)
	}
	return f, nil
}

func (e *embedded) close() {
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	e.lock.Close()
}

// serverLog writes the embedded server's lines into ours. Its Fatalf does not
// end the process.
type serverLog struct {
	log    *slog.Logger
	failed *failure
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(line(format, v)) }
func (l *serverLog) Warnf(format string, v ...any)   { l.log.Warn(line(format, v)) }
func (l *serverLog) Fatalf(format string, v ...any)  { l.Errorf(format, v...) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

// Errorf passes an error on; the owner of the store says what it means.
func (l *serverLog) Errorf(format string, v ...any) {
	text := line(format, v)
	l.failed.look(text)
	l.log.Debug(text, "level", "error")
}

func line(format string, v []any) string {
	return "embedded nats: " + strings.TrimSpace(fmt.Sprintf(format, v...))
}
