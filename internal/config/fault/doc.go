// Package fault holds what is wrong with a file a person wrote: where (file,
// line, column, caret), what, why and how to mend it.
//
// It knows no file format. The lines it shows are masked where they could hold
// a secret; it never reads a file itself.
package fault
