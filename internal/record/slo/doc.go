// Package slo is the arithmetic of objectives, budgets and losses: pure, without
// a clock. Every result has a formula that a report can show.
package slo
