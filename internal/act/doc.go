// Package act owns actions: what a person, or a rule of the config, does to
// workloads, statements and connections. Every action takes one path: the order
// is checked, the caller authorised, what it would hit previewed and capped, an
// event noted, the effect brought about, and a second event noted with what was
// seen afterwards. What stands (pauses, limits, bans) expires by itself, can be
// undone, and outlives a restart.
//
// It does not know the proxy, PostgreSQL or HTTP: a Ground shows holders and
// strikes them, Enforce puts what stands in force, Note writes events; node
// joins them. It decides nothing by itself: Consider acts on findings only where
// the config names detector and action.
package act
