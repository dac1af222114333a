package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// tokenBytes of chance make a token.
const tokenBytes = 32

func newToken() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token for the admin address, with its hash for the config",
		Long: "Makes a token of 256 random bits. The config holds only its hash, under tokens; the token\n" +
			"itself is shown this once, and sent as Authorization: Bearer TOKEN.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var chance [tokenBytes]byte
			_, _ = rand.Read(chance[:]) // never fails: crypto/rand ends the process instead
			token := base64.RawURLEncoding.EncodeToString(chance[:])
			sum := sha256.Sum256([]byte(token))
			hash := hex.EncodeToString(sum[:])
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"token": token, "hash": hash})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "token: %s\nhash:  %s\n", token, hash)
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}
