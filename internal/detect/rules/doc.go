// Package rules writes what a Prometheus and a Grafana need to watch Spillway
// from outside: alerting and recording rules with the detectors' own bounds, and
// a dashboard. Both are text, made from detect.Bounds; nothing is asked or sent.
package rules
