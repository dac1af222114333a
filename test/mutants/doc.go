// Command mutants breaks the core on purpose, one line at a time, and looks
// whether a test notices: `make mutants`, or `go run ./test/mutants [NAME...]`.
//
// A mutant is an exact piece of source text and what stands in its place; the
// build gets it as an overlay, so no file of the tree changes. It is caught when
// the test named with it fails, and lives when that test passes, which fails
// the run. Every test is run on the unbroken tree first: one that fails there
// proves nothing. A piece of text that is gone or stands twice is an error:
// TestEveryMutantFits says so in the ordinary tests already.
//
// It does not judge how many mutants there could be, makes none by itself, and
// is no part of `make test`: those that need a built pooler take a while.
package main
