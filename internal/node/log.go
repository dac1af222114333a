package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
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

// journal is the process's log: one logger, whose level and format a reload may
// change, and a pipe to be closed at the end.
type journal struct {
	*slog.Logger
	level *slog.LevelVar
	json  *atomic.Bool
	pipe  *pipe
}

// openLog makes the logger that writes to out.
func openLog(out io.Writer, config LogConfig) (*journal, error) {
	j := &journal{level: new(slog.LevelVar), json: new(atomic.Bool)}
	if err := j.apply(config); err != nil {
		return nil, err
	}
	text := textFormat(out)
	direct := slog.New(newFormats(out, text, j.json))
	j.pipe = newPipe(out, func(n int) {
		direct.Warn("log lines dropped, the reader is too slow", "count", n)
	})
	handler := newFloodHandler(newFormats(j.pipe, text, j.json), config.PerSecond)
	j.Logger = slog.New(&levelHandler{Handler: handler, level: j.level})
	return j, nil
}

// apply changes level and format of what is logged from now on; after an error
// nothing has changed.
func (j *journal) apply(config LogConfig) error {
	level := slog.LevelInfo
	if config.Level != "" {
		if err := level.UnmarshalText([]byte(config.Level)); err != nil {
			return fmt.Errorf("read log level %q: want debug, info, warn or error", config.Level)
		}
	}
	switch config.Format {
	case "", "text", "json":
	default:
		return fmt.Errorf("read log format %q: want text or json", config.Format)
	}
	j.level.Set(level)
	j.json.Store(config.Format == "json")
	return nil
}

// Close writes what is still waiting.
func (j *journal) Close() { j.pipe.Close(closeLogAfter) }

// formats writes each line as JSON or as text, whichever is asked for then.
type formats struct {
	text, json slog.Handler
	asJSON     *atomic.Bool
}

func newFormats(w io.Writer, text func(io.Writer) slog.Handler, asJSON *atomic.Bool) *formats {
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: redact}
	return &formats{text: text(w), json: slog.NewJSONHandler(w, options), asJSON: asJSON}
}

func (f *formats) Enabled(context.Context, slog.Level) bool { return true }

func (f *formats) Handle(ctx context.Context, r slog.Record) error {
	if f.asJSON.Load() {
		return f.json.Handle(ctx, r)
	}
	return f.text.Handle(ctx, r)
}

func (f *formats) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &formats{text: f.text.WithAttrs(attrs), json: f.json.WithAttrs(attrs), asJSON: f.asJSON}
}

func (f *formats) WithGroup(name string) slog.Handler {
	return &formats{text: f.text.WithGroup(name), json: f.json.WithGroup(name), asJSON: f.asJSON}
}

// textFormat is text for a person: in colours where out is a terminal.
func textFormat(out io.Writer) func(io.Writer) slog.Handler {
	if !isTerminal(out) {
		options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: redact}
		return func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, options) }
	}
	return func(w io.Writer) slog.Handler {
		return tint.NewTextHandler(w, &tint.Options{
			Level: slog.LevelDebug, ReplaceAttr: redact,
			TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != "",
		})
	}
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
