// Package detect judges samples: frames in, findings, forecasts and a verdict
// out. It does no I/O and has no clock: the time is the frame's.
//
// A detector is a function of one look at things (Input) that returns what it
// suspects. The Engine holds what spans frames: trends, and the board, where a
// suspicion becomes a finding once it has lasted, and stays one until it has
// been gone for a while. Findings warn; nothing here acts.
//
// It opens no incident, tells nobody and keeps nothing on disk.
package detect
