package main

// mutant is one fault put into the core.
type mutant struct {
	name     string
	file     string // below the module's root
	old, new string // old stands in it exactly once
	catcher  catcher
}

// catcher is the test that must fail.
type catcher struct {
	pkg, test string
	// built says that the test runs the built pooler, which is then built broken.
	built bool
}

var (
	releaseRule  = catcher{pkg: "./internal/session", test: "TestReleaseRule"}
	fuzzSeeds    = catcher{pkg: "./internal/session", test: "FuzzSession"}
	differential = catcher{pkg: "./test/differential", test: "TestPooledSaysTheSame", built: true}
	isolation    = catcher{pkg: "./test/isolation", test: "TestNobodySeesAnothersState", built: true}
)

// mutants are faults that a pooler must not have, in the places where they
// would be made.
var mutants = []mutant{
	{
		name: "open-transaction-is-clean", file: "internal/session/server.go", catcher: releaseRule,
		old: "return s.ops.empty() && !s.ops.open && s.state == wire.Idle && !s.copyIn && !s.skipping",
		new: "return s.ops.empty() && !s.ops.open && !s.copyIn && !s.skipping",
	},
	{
		name: "unsynced-unit-is-clean", file: "internal/session/server.go", catcher: releaseRule,
		old: "return s.ops.empty() && !s.ops.open && s.state == wire.Idle && !s.copyIn && !s.skipping",
		new: "return s.ops.empty() && s.state == wire.Idle && !s.copyIn && !s.skipping",
	},
	{
		name: "ready-alone-is-trusted", file: "internal/session/server.go", catcher: fuzzSeeds,
		old: "return s.ops.empty() && !s.ops.open && s.state == wire.Idle && !s.copyIn && !s.skipping",
		new: "return s.state == wire.Idle && !s.copyIn && !s.skipping",
	},
	{
		name: "statement-keeps-the-clients-name", file: "internal/session/extended.go",
		catcher: catcher{pkg: "./internal/session", test: "TestStatementIsPreparedOncePerServer"},
		old:     "fx.ToServer = append(append(fx.ToServer, cs.st.name...), 0)",
		new:     "fx.ToServer = append(append(fx.ToServer, cs.name...), 0)",
	},
	{
		name: "skipped-parse-stays-in-the-books", file: "internal/session/failed.go",
		catcher: catcher{pkg: "./internal/session", test: "TestErrorUndoesWhatWasSkipped"},
		old:     "s.undo(&skipped[i], i == 0)",
		new:     "_ = i",
	},
	{
		name: "full-table-grows", file: "internal/session/extended.go",
		catcher: catcher{pkg: "./internal/session", test: "TestFullTableMakesRoom"},
		old:     "for len(s.table.at) >= c.Rules.MaxPrepared {",
		new:     "for len(s.table.at) > c.Rules.MaxPrepared {",
	},
	{
		name: "abandoned-unit-is-committed", file: "internal/session/setup.go",
		catcher: catcher{pkg: "./internal/session", test: "TestAbandonedUnitIsNotCommitted"},
		old:     "if !s.skipping {\n\t\t// A Sync alone",
		new:     "if false {\n\t\t// A Sync alone",
	},
	{
		name: "one-server-for-two", file: "internal/schedule/acquire.go",
		catcher: catcher{pkg: "./internal/schedule", test: "TestAgainstModel"},
		old:     "s.Lease++\n\th.become(s, Active)",
		new:     "s.Lease++",
	},
	{
		name: "half-a-message-comes-twice", file: "internal/proxy/loop.go", catcher: differential,
		old: "ep.in = append(l.buffer(), rest...)",
		new: "ep.in = append(append(l.buffer(), rest...), rest...)",
	},
	{
		name: "answer-to-our-own-goes-to-the-client", file: "internal/session/back.go", catcher: differential,
		old: "forward = s.owner != nil && (s.ops.empty() || s.ops.first().flags&flagSwallow == 0)",
		new: "forward = s.owner != nil",
	},
	{
		name: "server-leaves-its-transaction", file: "internal/session/server.go", catcher: differential,
		old: "return s.ops.empty() && !s.ops.open && s.state == wire.Idle && !s.copyIn && !s.skipping",
		new: "return s.ops.empty() && !s.ops.open && !s.copyIn && !s.skipping",
	},
	{
		name: "settings-stay-for-the-next", file: "internal/session/setup.go", catcher: isolation,
		old: "} else if s.Settings != want {",
		new: "} else if s.Settings != want && s.dirty {",
	},
	{
		// The proxy resets a pinned client's server besides, so that no test from
		// without sees this one alone.
		name: "dead-clients-state-stays", file: "internal/session/setup.go",
		catcher: catcher{pkg: "./internal/session", test: "TestADeadClientsStateIsReset"},
		old:     "if c := s.owner; c != nil && (c.pinned != 0 || s.ask) {\n\t\ts.dirty = true",
		new:     "if c := s.owner; c != nil && (c.pinned != 0 || s.ask) {\n\t\ts.dirty = false",
	},
}
