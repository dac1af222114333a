// Package show prints drills: live progress on a terminal or as lines, the
// table that compares the sides, and a page of HTML that needs nothing else.
//
// It measures and decides nothing.
package show
