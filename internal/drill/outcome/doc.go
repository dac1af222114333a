// Package outcome is what a drill found out, as values: the two sides with
// their seconds, events and figures, the table that compares them and the
// promises held or broken. Its JSON is what `spillway drill run -o json` writes.
//
// It measures nothing and prints nothing.
package outcome
