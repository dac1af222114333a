package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spillway/internal/config"
	"spillway/internal/node"
	"spillway/internal/node/remote"
)

// askTimeout is how long a node may take to answer.
const askTimeout = 10 * time.Second

// asking are the flags of commands that talk to a running node.
type asking struct {
	socket, config, output string
	address, tokenFile     string
}

func (a *asking) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.socket, "socket", "", "the node's admin socket; goes before --config")
	cmd.Flags().StringVarP(&a.config, "config", "c", "spillway.yaml", "the node's config file, whose data_dir holds the socket")
	cmd.Flags().StringVar(&a.address, "address", "", "a node's admin address, as https://db-1:6433, in place of the socket; the token is SPILLWAY_TOKEN")
	cmd.Flags().StringVar(&a.tokenFile, "token-file", "", "with --address: a file that holds the token")
	outputFlag(cmd, &a.output)
}

func (a *asking) json() bool { return a.output == "json" }

// outputFlag adds -o; a value that is neither table nor json is wrong usage.
func outputFlag(cmd *cobra.Command, output *string) {
	*output = "table"
	cmd.Flags().VarP((*outputValue)(output), "output", "o", "table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// outputValue is the flag's value, checked as it is read.
type outputValue string

func (v *outputValue) String() string { return string(*v) }
func (v *outputValue) Type() string   { return "format" }
func (v *outputValue) Set(text string) error {
	if text != "table" && text != "json" {
		return errors.New("want table or json")
	}
	*v = outputValue(text)
	return nil
}

// node finds the running node: by its address or socket as given, or by the config file.
func (a *asking) node() (*remote.Client, error) {
	if a.address != "" && a.socket != "" {
		return nil, usageError{errors.New("--address and --socket are two ways to one node; give one of them")}
	}
	if a.address != "" {
		token, err := a.token()
		if err != nil {
			return nil, err
		}
		return remote.NewAt(a.address, token)
	}
	if a.socket != "" {
		// The more exact of the two wins.
		return remote.New(a.socket), nil
	}
	loaded, err := config.Load(a.config)
	if err != nil {
		return nil, fmt.Errorf("find the node's socket (or give it with --socket): %w", err)
	}
	return remote.New(node.AdminSocket(loaded.DataDir)), nil
}

// maxToken bounds what is read of a token's file.
const maxToken = 4096

// token is what is sent with --address; never an argument, which others of the
// machine could read.
func (a *asking) token() (string, error) {
	if a.tokenFile == "" {
		return os.Getenv("SPILLWAY_TOKEN"), nil
	}
	file, err := os.Open(a.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxToken))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// ask runs do with the node and a deadline.
func (a *asking) ask(cmd *cobra.Command, do func(context.Context, *remote.Client) error) error {
	running, err := a.node()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
	defer cancel()
	return do(ctx, running)
}

func newReload() *cobra.Command {
	var a asking
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running node read its config file again",
		Long:  "Makes the running node read its config file again. A file with an error changes\nnothing; what needs a restart is listed.",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd, func(ctx context.Context, running *remote.Client) error {
				notes, err := running.Do(ctx, "reload", nil)
				if err != nil {
					return err
				}
				return printDone(cmd.OutOrStdout(), "config reloaded", notes, a.json())
			})
		},
	}
	a.flags(cmd)
	return cmd
}
