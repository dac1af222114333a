package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/sys/unix"
)

// LogConfig says how lines are written.
type LogConfig struct {
	Level  string // debug, info, warn or error; "" = info
	Format string // json or text ("" = text; coloured on a terminal)
	// PerSecond is how many lines of one level and message pass a second
	// before the rest are counted instead; 0 = no bound.
	PerSecond int
}

// closeLogAfter bounds the wait for a blocked log output at the end.
const closeLogAfter = 2 * time.Second

// journal is the process's log: one logger, a level that a reload may change
// and a pipe to be closed at the end.
type journal struct {
	*slog.Logger
	level *slog.LevelVar
	pipe  *pipe
}

// openLog makes the logger that writes to out.
func openLog(out io.Writer, config LogConfig) (*journal, error) {
	level := new(slog.LevelVar)
	if err := setLevel(level, config.Level); err != nil {
		return nil, err
	}
	format, err := logFormat(out, config.Format)
	if err != nil {
		return nil, err
	}
	direct := slog.New(format(out))
	lines := newPipe(out, func(n int) {
		direct.Warn("log lines dropped, the reader is too slow", "count", n)
	})
	handler := &levelHandler{Handler: newFloodHandler(format(lines), config.PerSecond), level: level}
	return &journal{Logger: slog.New(handler), level: level, pipe: lines}, nil
}

// Close writes what is still waiting.
func (j *journal) Close() { j.pipe.Close(closeLogAfter) }

func setLevel(level *slog.LevelVar, name string) error {
	if name == "" {
		name = "info"
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("read log level %q: want debug, info, warn or error", name)
	}
	level.Set(l)
	return nil
}

// logFormat returns the maker of handlers for the named format.
func logFormat(out io.Writer, name string) (func(io.Writer) slog.Handler, error) {
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: redact}
	switch name {
	case "json":
		return func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, options) }, nil
	case "", "text":
	default:
		return nil, fmt.Errorf("read log format %q: want json or text", name)
	}
	if !isTerminal(out) {
		return func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) }, nil
	}
	return func(w io.Writer) slog.Handler {
		return tint.NewHandler(w, &tint.Options{
			Level: options.Level, ReplaceAttr: redact,
			TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != "",
		})
	}, nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// levelHandler drops what is below the level of the moment, before a line is
// counted by the flood handler or formatted.
type levelHandler struct {
	slog.Handler
	level *slog.LevelVar
}

func (h *levelHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &levelHandler{Handler: h.Handler.WithAttrs(attrs), level: h.level}
}

func (h *levelHandler) WithGroup(name string) slog.Handler {
	return &levelHandler{Handler: h.Handler.WithGroup(name), level: h.level}
}

// secretKeys are attribute names whose value is never written. Rooms do not log
// secrets; this is the net below them.
var secretKeys = []string{"password", "passwd", "secret", "token", "authorization", "client_key", "stored_key", "server_key"}

const redacted = "[redacted]"

// redact is the ReplaceAttr of every handler.
func redact(_ []string, attr slog.Attr) slog.Attr {
	key := strings.ToLower(attr.Key)
	for _, secret := range secretKeys {
		if strings.HasSuffix(key, secret) {
			return slog.String(attr.Key, redacted)
		}
	}
	switch value := attr.Value.Any().(type) {
	case string:
		if clean := redactURLs(value); clean != value {
			return slog.String(attr.Key, clean)
		}
	case error:
		// Text handlers print an error by its message; only one with a URL is replaced.
		if text := value.Error(); strings.Contains(text, "://") {
			return slog.String(attr.Key, redactURLs(text))
		}
	case *url.URL:
		return slog.String(attr.Key, value.Redacted())
	}
	return attr
}

// redactURLs blanks the password in every scheme://user:password@host of text.
func redactURLs(text string) string {
	rest, clean := text, ""
	for {
		head, tail, found := strings.Cut(rest, "://")
		if !found {
			return clean + rest
		}
		clean += head + "://"
		end := strings.IndexAny(tail, " \t\r\n\"'`<>/?#")
		if end < 0 {
			end = len(tail)
		}
		authority := tail[:end]
		if at := strings.LastIndexByte(authority, '@'); at >= 0 {
			if user, _, has := strings.Cut(authority[:at], ":"); has {
				authority = user + ":" + redacted + authority[at:]
			}
		}
		clean += authority
		rest = tail[end:]
	}
}
