package auth

import (
	"fmt"
	"io"
	"log/slog"
)

// What holds a secret prints as a name under every verb, marshals as one, and logs
// as one: a stray %+v must not end up in an incident report.

const (
	hiddenKey      = "key(hidden)"
	hiddenCancel   = "cancel key(hidden)"
	hiddenVerifier = "SCRAM verifier(hidden)"
	hiddenKeys     = "SCRAM keys(hidden)"
	hiddenExchange = "SCRAM exchange(hidden)"
	hiddenLogin    = "server login(hidden)"
)

func hide(f fmt.State, text string) { _, _ = io.WriteString(f, text) }

// Format prints the kind and nothing of the secret.
func (s Secret) Format(f fmt.State, _ rune) { hide(f, s.String()) }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Format prints nothing of the key.
func (Key) Format(f fmt.State, _ rune) { hide(f, hiddenKey) }

// LogValue shows nothing of the key.
func (Key) LogValue() slog.Value { return slog.StringValue(hiddenKey) }

// MarshalText shows nothing of the key.
func (Key) MarshalText() ([]byte, error) { return []byte(hiddenKey), nil }

// Format prints nothing of the key.
func (CancelKey) Format(f fmt.State, _ rune) { hide(f, hiddenCancel) }

// LogValue shows nothing of the key.
func (CancelKey) LogValue() slog.Value { return slog.StringValue(hiddenCancel) }

// MarshalText shows nothing of the key.
func (CancelKey) MarshalText() ([]byte, error) { return []byte(hiddenCancel), nil }

// Format prints nothing of the verifier.
func (Verifier) Format(f fmt.State, _ rune) { hide(f, hiddenVerifier) }

// LogValue shows nothing of the verifier.
func (Verifier) LogValue() slog.Value { return slog.StringValue(hiddenVerifier) }

// Format prints nothing of the keys.
func (SCRAMKeys) Format(f fmt.State, _ rune) { hide(f, hiddenKeys) }

// LogValue shows nothing of the keys.
func (SCRAMKeys) LogValue() slog.Value { return slog.StringValue(hiddenKeys) }

// Format prints nothing of the exchange.
func (*ServerExchange) Format(f fmt.State, _ rune) { hide(f, hiddenExchange) }

// Format prints nothing of the exchange.
func (*ClientExchange) Format(f fmt.State, _ rune) { hide(f, hiddenExchange) }

// Format prints nothing of the login.
func (*ServerLogin) Format(f fmt.State, _ rune) { hide(f, hiddenLogin) }
