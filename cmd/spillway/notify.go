package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/node/remote"
)

// notifyTimeout is how long a test may take: two requests of at most a minute.
const notifyTimeout = 2*time.Minute + 20*time.Second

func newNotify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "The channels by which alarms go out",
		Args:  noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			_ = cmd.Help() // the error is that there was no command
			return usageError{errors.New("no command given")}
		},
	}
	list := newShow(view{"list", "notify", "Every channel: what waits, what failed, what the endpoint said", nil, []column{
		{"CHANNEL", "channel", text}, {"TYPE", "kind", text}, {"ENDPOINT", "endpoint", text}, {"LEVELS", "levels", text}, {"OPEN", "open", text},
		{"WAITING", "waiting", text}, {"OLDEST", "oldest", age}, {"SENT", "sent", text}, {"LAST SENT", "last_sent_at", age},
		{"FAILED", "failed", text}, {"DROPPED", "dropped", text}, {"FAILING", "failing", text}, {"ERROR", "error", text},
	}})
	cmd.AddCommand(list, newNotifyTest())
	return cmd
}

func newNotifyTest() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a test through a channel, from the running node",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			running, err := a.node()
			if err != nil {
				return err
			}
			return testChannel(cmd, running, args[0], a.json())
		},
	}
	a.flags(cmd)
	return cmd
}

func testChannel(cmd *cobra.Command, running *remote.Client, name string, asJSON bool) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), notifyTimeout)
	defer cancel()
	var answer struct {
		At    time.Time `json:"at"`
		Items []row     `json:"items"`
	}
	if err := running.Call(ctx, http.MethodPost, "notify/test", map[string]string{"channel": name}, &answer); err != nil {
		return err
	}
	if asJSON {
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(answer); err != nil {
			return err
		}
	}
	failed := 0
	for _, r := range answer.Items {
		result := fmt.Sprintf("taken after %s", seconds(r["seconds"], answer.At))
		if r["error"] != nil {
			failed++
			result = "FAILED: " + text(r["error"], answer.At)
		}
		if !asJSON {
			fmt.Fprintf(cmd.OutOrStdout(), "%s (%s): %s\n", text(r["channel"], answer.At), text(r["endpoint"], answer.At), result)
		}
	}
	if failed > 0 {
		return errPrinted
	}
	return nil
}
