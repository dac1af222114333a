package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"spillway/internal/node/remote"
)

// Bounds of how often top asks.
const (
	topEvery      = time.Second
	topEveryLeast = 200 * time.Millisecond
)

func newTop() *cobra.Command {
	var a asking
	var every time.Duration
	var once bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Live view: the verdict, servers, workloads, who holds what, findings",
		Long: "Shows the verdict with what it rests on, drawn again every second. q ends it,\nspace holds it still. Where the output is no terminal, or with --once, it prints\n" +
			"one picture and ends.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < topEveryLeast {
				return usageError{fmt.Errorf("--every %v: want %v or more", every, topEveryLeast)}
			}
			running, err := a.node()
			if err != nil {
				return err
			}
			out, terminal := cmd.OutOrStdout().(*os.File)
			if once || !terminal || !isTerminal(out) || !isTerminal(os.Stdin) {
				return topOnce(cmd.Context(), cmd.OutOrStdout(), running)
			}
			return topLive(cmd.Context(), out, running, every)
		},
	}
	cmd.Flags().StringVar(&a.socket, "socket", "", "the node's admin socket; goes before --config")
	cmd.Flags().StringVarP(&a.config, "config", "c", "spillway.yaml", "the node's config file, whose data_dir holds the socket")
	cmd.Flags().DurationVar(&every, "every", topEvery, "how often it is drawn again")
	cmd.Flags().BoolVar(&once, "once", false, "print one picture and end")
	return cmd
}

// picture is one reading of the node.
type picture struct {
	verdict   verdict
	workloads []row
	at        time.Time // when the node answered
	err       error     // of the last attempt
}

// look reads the node. What a failing attempt leaves is the reading before it.
func (p *picture) look(ctx context.Context, running *remote.Client) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	next := picture{}
	if p.err = running.Call(ctx, http.MethodGet, "verdict", nil, &next.verdict); p.err != nil {
		return
	}
	if next.workloads, p.err = factRows(ctx, running, "workloads"); p.err != nil {
		return
	}
	next.at = time.Now()
	*p = next
}

func factRows(ctx context.Context, running *remote.Client, facts string) ([]row, error) {
	listing, err := running.Facts(ctx, facts)
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := json.Unmarshal(listing.Items, &rows); err != nil {
		return nil, fmt.Errorf("read %s: the node's answer is not as expected: %w", facts, err)
	}
	return rows, nil
}

// Size of a picture where there is no terminal.
const (
	plainWidth  = 160
	plainHeight = 1000
)

func topOnce(ctx context.Context, out io.Writer, running *remote.Client) error {
	var p picture
	if p.look(ctx, running); p.err != nil {
		return p.err
	}
	for _, l := range draw(&p, canvas{width: plainWidth, height: plainHeight, now: p.at}) {
		fmt.Fprintln(out, l.text)
	}
	return nil
}

// Words a terminal understands.
const (
	screenOn   = "\x1b[?1049h\x1b[?25l"
	screenOff  = "\x1b[?25h\x1b[?1049l"
	home       = "\x1b[H"
	toEnd      = "\x1b[K"
	below      = "\x1b[J"
	plainAgain = "\x1b[0m"
)

// topLive draws until q or an interrupt. The terminal is left as it was.
func topLive(ctx context.Context, out *os.File, running *remote.Client, every time.Duration) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	restore, err := rawTerminal(os.Stdin)
	if err != nil {
		return fmt.Errorf("set up terminal: %w", err)
	}
	defer restore()
	fmt.Fprint(out, screenOn)
	defer fmt.Fprint(out, screenOff)
	keys := make(chan byte)
	go readKeys(ctx, keys)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var p picture
	held := false
	p.look(ctx, running)
	for {
		if err := paint(out, &p, held); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case key := <-keys:
			switch key {
			case 'q', 'Q', 3:
				return nil
			case ' ':
				held = !held
			}
		case <-resized:
		case <-tick.C:
			if !held {
				p.look(ctx, running)
			}
		}
	}
}

// readKeys hands on what is typed. It cannot be taken out of its read: it ends
// with the process.
func readKeys(ctx context.Context, keys chan<- byte) {
	var b [1]byte
	for {
		if n, err := os.Stdin.Read(b[:]); err != nil || n == 0 {
			return
		}
		select {
		case keys <- b[0]:
		case <-ctx.Done():
			return
		}
	}
}

// rawTerminal turns echo and lines off until the returned function is called.
func rawTerminal(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	raw := *before
	raw.Lflag &^= unix.ECHO | unix.ICANON
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}

func paint(out *os.File, p *picture, held bool) error {
	c := canvas{width: 80, height: 24, now: time.Now(), held: held}
	if size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 && size.Row > 0 {
		c.width, c.height = int(size.Col), int(size.Row)
	}
	text := []byte(home)
	colours := os.Getenv("NO_COLOR") == ""
	lines := draw(p, c)
	for i, l := range lines {
		if colours {
			text = append(text, l.style...)
		}
		text = append(text, l.text...)
		if colours && l.style != "" {
			text = append(text, plainAgain...)
		}
		text = append(text, toEnd...)
		if i < len(lines)-1 {
			text = append(text, "\r\n"...)
		}
	}
	_, err := out.Write(append(text, below...))
	if errors.Is(err, unix.EIO) {
		return nil // the terminal has gone; the signal will say so
	}
	return err
}
