// Package report makes the post-mortem of an incident: its figures, its
// timeline in words, Markdown after the template, and charts as SVG. Pure: the
// same incident makes the same report.
//
// What is measured stands as it is; an estimate is marked and shows its formula;
// what only people can write is a prompt.
package report
