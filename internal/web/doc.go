// Package web is the admin HTTP server: metrics for Prometheus, health for
// supervisors, the proxy's snapshots as JSON, verbs for the command line, and a
// small status page.
//
// It owns the names of the metrics (collect_*.go), the JSON of the API
// (view.go), and who may ask for what (guard.go): the unix socket obeys root
// and its own user, the TCP address shows and obeys only who has the token.
//
// It does not pool, keeps no statistics, reads no config file and decides
// nothing: facts come from the proxy's snapshots, verbs go to the proxy, reload
// and shutdown to node. Nothing in the proxy's path waits for it.
package web
