// Package sample is what probes read and detectors judge: plain values of one
// moment. It does no I/O, has no clock, and knows neither who fills it nor who
// reads it. A frame is not changed once it has been handed on.
//
// What a probe could not read is absent (nil), never the value of before.
package sample
