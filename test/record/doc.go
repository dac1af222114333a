// Package record tries the record on real servers: troubles made for real open
// one incident each, and close it when they go; the command line writes its
// report.
package record
