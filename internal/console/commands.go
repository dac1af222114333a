package console

import (
	"context"

	"spillway/internal/wire"
)

// command is one row of the console's language. A new SHOW or verb is one row
// more: its rights, its help, its columns and what it does.
type command struct {
	name    string        // upper case; of two words the second is part of the name
	usage   string        // arguments, for SHOW HELP; "" = takes none
	stats   bool          // users that may only look may run it; the zero value denies
	quiet   bool          // not listed in SHOW HELP
	columns []wire.Column // nil: returns no rows
	run     func(ctx context.Context, c *call, a *answer) error
}

// call is one run of a command.
type call struct {
	*session
	command string  // its name
	args    []token // what follows the name
}

// answer is what a command returns.
type answer struct {
	rows    [][]cell
	notices []wire.Report
	tag     string
}

func (a *answer) row(cells ...cell) { a.rows = append(a.rows, cells) }

func (a *answer) notice(message, hint string) {
	r := wire.Report{Severity: "NOTICE", Code: "00000", Message: printable(message), Hint: printable(hint)}
	a.notices = append(a.notices, r)
}

// shows are the SHOW commands: columns exactly as PgBouncer 1.25.2 sends them,
// but for those that it does not have.
func shows() []command {
	return []command{
		{name: "SHOW ACTIONS", columns: deedColumns, run: showActions},
		{name: "SHOW ACTIVE_SOCKETS", columns: socketColumns, run: showActiveSockets},
		{name: "SHOW BANS", columns: banColumns, run: showBans},
		{name: "SHOW CLIENTS", columns: connColumns, run: showClients},
		{name: "SHOW CONFIG", columns: configColumns, run: showConfig},
		{name: "SHOW DATABASES", columns: databaseColumns, run: showDatabases},
		{name: "SHOW DNS_HOSTS", columns: dnsHostColumns, run: showDNSHosts},
		{name: "SHOW DNS_ZONES", columns: dnsZoneColumns, run: showNothing},
		{name: "SHOW HELP", run: showHelp},
		{name: "SHOW HOLDERS", columns: holderColumns, run: showHolders},
		{name: "SHOW LISTS", columns: listColumns, run: showLists},
		{name: "SHOW MEM", columns: memColumns, run: showMem},
		{name: "SHOW PEERS", columns: peerColumns, run: showNothing},
		{name: "SHOW PEER_POOLS", columns: peerPoolColumns, run: showNothing},
		{name: "SHOW POOLS", columns: poolColumns, run: showPools},
		{name: "SHOW QUERIES", columns: queryColumns, run: showQueries},
		{name: "SHOW SERVERS", columns: connColumns, run: showServers},
		{name: "SHOW SOCKETS", columns: socketColumns, run: showSockets},
		{name: "SHOW STATE", columns: stateColumns, run: showState},
		{name: "SHOW STATS", columns: statsColumns, run: showStats},
		{name: "SHOW STATS_AVERAGES", columns: averageColumns, run: showStatsAverages},
		{name: "SHOW STATS_TOTALS", columns: totalColumns, run: showStatsTotals},
		{name: "SHOW TOTALS", columns: totalsColumns, run: showTotals},
		{name: "SHOW UPSTREAMS", columns: upstreamColumns, run: showUpstreams},
		{name: "SHOW WORKLOADS", columns: workloadColumns, run: showWorkloads},
		{name: "SHOW USERS", columns: userColumns, run: showUsers},
		{name: "SHOW VERSION", columns: texts("version"), run: showVersion},
	}
}

// verbs change something: none of them is for users that may only look.
func verbs() []command {
	return []command{
		{name: "DISABLE", usage: "<db>", run: disable},
		{name: "ENABLE", usage: "<db>", run: enable},
		{name: "KILL", usage: "[<db>]", run: kill},
		{name: "KILL_CLIENT", usage: "<client_id>", run: killClient},
		{name: "PAUSE", usage: "[<db>] [TIMEOUT <duration>]", run: pause},
		{name: "RECONNECT", usage: "[<db>]", run: reconnect},
		{name: "RELOAD", run: reload},
		{name: "RESUME", usage: "[<db>]", run: resume},
		{name: "SET", usage: "<key> = <value>", run: set},
		{name: "SHUTDOWN", usage: "[WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]", run: shutdown},
		{name: "SUSPEND", usage: "[TIMEOUT <duration>]", run: suspend},
		{name: "WAIT_CLOSE", usage: "[<db>] [TIMEOUT <duration>]", run: waitClose},
	}
}

// courtesies change nothing: drivers and connection pools send them to every
// server they meet.
func courtesies() []command {
	return []command{
		{name: "ABORT", run: endTransaction("ROLLBACK")},
		{name: "BEGIN", run: beginTransaction("BEGIN")},
		{name: "CLOSE", run: ignored("CLOSE CURSOR ALL")},
		{name: "COMMIT", run: endTransaction("COMMIT")},
		{name: "DEALLOCATE", run: deallocate},
		{name: "DISCARD", run: discard},
		{name: "END", run: endTransaction("COMMIT")},
		{name: "RESET", run: ignored("RESET")},
		{name: "ROLLBACK", run: endTransaction("ROLLBACK")},
		{name: "START", run: beginTransaction("START TRANSACTION")},
		{name: "UNLISTEN", run: ignored("UNLISTEN")},
	}
}

// newLanguage is every command by name.
func newLanguage() map[string]*command {
	language := map[string]*command{}
	add := func(list []command, stats, quiet bool) {
		for i := range list {
			c := &list[i]
			c.stats, c.quiet = stats, quiet
			language[c.name] = c
		}
	}
	add(shows(), true, false)
	add(verbs(), false, false)
	add(containVerbs(), false, false)
	add(courtesies(), true, true)
	return language
}
