package config

import "time"

func sslModes() []string {
	return []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
}

func tlsVersions() []string { return []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"} }

func poolModes() []string { return []string{"session", "transaction", "statement"} }

func authKeys() []key {
	return []key{
		scalar("type", func(a *Auth) *string { return &a.Type }, "scram-sha-256", "auth_type",
			"Method of login. any and trust ask for nothing; any lets every name in as the database's user.",
			oneOf("scram-sha-256", "md5", "plain", "cert", "hba", "trust", "any")),
		scalar("file", func(a *Auth) *string { return &a.File }, "", "auth_file",
			`Users and their secrets, as PgBouncer's userlist.txt: "user" "secret".`, file(), sample("userlist.txt")),
		scalar("hba_file", func(a *Auth) *string { return &a.HBAFile }, "", "auth_hba_file",
			"Rules as in pg_hba.conf, for type hba.", file(), suggest("pg_hba.conf")),
		scalar("ident_file", func(a *Auth) *string { return &a.IdentFile }, "", "auth_ident_file",
			"User maps as in pg_ident.conf.", file(), suggest("pg_ident.conf")),
		scalar("cert_map", func(a *Auth) *string { return &a.CertMap }, "", "",
			"Map of ident_file for type cert.", inherits("the certificate's CN is the user"), suggest("services")),
		scalar("user", func(a *Auth) *string { return &a.User }, "", "auth_user",
			"Role that looks up users missing from file.", suggest("lookup")),
		scalar("password", func(a *Auth) *string { return &a.Password }, "", "",
			"Its password; better ${NAME} or password_file.", hidden(), inherits("from auth.file"), suggest("${LOOKUP_PASSWORD}")),
		scalar("password_file", func(a *Auth) *string { return &a.PasswordFile }, "", "",
			"File whose first line is that password.", file(), suggest("lookup.password")),
		scalar("query", func(a *Auth) *string { return &a.Query }, "", "auth_query",
			"How it looks them up: $1 is the user, the answer is user and secret.", inherits("pg_authid, VALID UNTIL honoured"), suggest("SELECT usename, passwd FROM public.lookup($1)")),
		scalar("database", func(a *Auth) *string { return &a.Database }, "", "auth_dbname",
			"Where it looks them up.", inherits("the database asked for"), suggest("postgres")),
		scalar("query_ttl", func(a *Auth) *time.Duration { return &a.QueryTTL }, "0s", "",
			"How long an answer serves; 0 asks at every login."),
		scalar("admins", func(a *Auth) *[]string { return &a.Admins }, "[]", "admin_users",
			"Users of the console with every verb.", suggest("[alice]")),
		scalar("stats", func(a *Auth) *[]string { return &a.Stats }, "[]", "stats_users",
			"Users of the console that may only SHOW.", suggest("[exporter]")),
		scalar("operators", func(a *Auth) *[]string { return &a.Operators }, "[]", "",
			"The same as operators at the top; give one of them."),
	}
}

func tlsKeys() []key {
	return []key{
		scalar("mode", func(t *TLS) *string { return &t.Mode }, "disable", "client_tls_sslmode",
			"allow and prefer offer TLS, require demands it, verify-ca and verify-full demand a client certificate too.", oneOf(sslModes()...)),
		scalar("cert", func(t *TLS) *string { return &t.Cert }, "", "client_tls_cert_file",
			"Certificate shown to clients.", file(), suggest("server.pem")),
		scalar("key", func(t *TLS) *string { return &t.Key }, "", "client_tls_key_file",
			"Its private key.", file(), suggest("server.key")),
		scalar("ca", func(t *TLS) *string { return &t.CA }, "", "client_tls_ca_file",
			"Certificates trusted to sign clients'.", file(), suggest("client-ca.pem")),
		scalar("protocols", func(t *TLS) *[]string { return &t.Protocols }, "[TLSv1.2, TLSv1.3]", "client_tls_protocols",
			"Versions of TLS spoken.", oneOf(tlsVersions()...)),
		scalar("ciphers", func(t *TLS) *[]string { return &t.Ciphers }, "[]", "client_tls_ciphers",
			"Cipher suites of TLS 1.2 by their IANA names; empty is Go's choice. Those of TLS 1.3 are fixed."),
	}
}

func poolKeys() []key {
	return []key{
		scalar("mode", func(p *Pool) *string { return &p.Mode }, "transaction", "pool_mode",
			"When a server goes back to its pool: at the client's end, after a transaction, after a statement.", oneOf(poolModes()...)),
		scalar("size", func(p *Pool) *int { return &p.Size }, "20", "default_pool_size",
			"Servers of one pool.", atLeast(1)),
		scalar("min", func(p *Pool) *int { return &p.Min }, "0", "min_pool_size",
			"Servers kept open in a pool in use."),
		scalar("reserve", func(p *Pool) *int { return &p.Reserve }, "0", "reserve_pool_size",
			"Further servers when a client waits longer than reserve_after."),
		scalar("reserve_after", func(p *Pool) *time.Duration { return &p.ReserveAfter }, "5s", "reserve_pool_timeout",
			"How long a client waits before the reserve opens."),
		scalar("round_robin", func(p *Pool) *bool { return &p.RoundRobin }, "false", "server_round_robin",
			"Use the server idle for longest instead of the last used."),
		scalar("check_query", func(p *Pool) *string { return &p.CheckQuery }, "", "server_check_query",
			"Asked of a server idle longer than timeouts.server_check_delay; empty is an empty query."),
		scalar("reset_query", func(p *Pool) *string { return &p.ResetQuery }, "DISCARD ALL", "server_reset_query",
			"Run when a client leaves a server in session mode."),
		scalar("reset_always", func(p *Pool) *bool { return &p.ResetAlways }, "false", "server_reset_query_always",
			"Run it in the other modes too."),
		scalar("fast_close", func(p *Pool) *bool { return &p.FastClose }, "false", "server_fast_close",
			"In session mode, close servers after RECONNECT or reload as soon as they are idle."),
	}
}

func sessionKeys() []key {
	return []key{
		scalar("on_state", func(s *Session) *string { return &s.OnState }, "pin", "",
			"LISTEN, temporary tables, session locks and the like: keep the server with the client, or refuse the statement.", oneOf("pin", "refuse")),
		scalar("track_parameters", func(s *Session) *[]string { return &s.TrackParameters }, "[]", "track_extra_parameters",
			"Parameters that follow the client, beside those every server reports."),
		scalar("max_prepared_statements", func(s *Session) *int { return &s.MaxPreparedStatements }, "200", "max_prepared_statements",
			"Prepared statements kept on a server; 0 leaves them alone."),
		scalar("ignore_startup_parameters", func(s *Session) *[]string { return &s.IgnoreStartupParameters }, "[]", "ignore_startup_parameters",
			"Startup parameters accepted and dropped."),
		scalar("trust_functions", func(s *Session) *bool { return &s.TrustFunctions }, "false", "",
			"Do not reset a server after functions, DO and CALL that could have changed its state."),
	}
}

func timeoutKeys() []key {
	type T = Timeouts
	return []key{
		scalar("client_login", func(t *T) *time.Duration { return &t.ClientLogin }, "60s", "client_login_timeout",
			"From connection to login."),
		scalar("client_idle", func(t *T) *time.Duration { return &t.ClientIdle }, "0s", "client_idle_timeout",
			"Silence of a client outside a transaction."),
		scalar("queue", func(t *T) *time.Duration { return &t.Queue }, "120s", "query_wait_timeout",
			"Wait for a server."),
		scalar("queue_notice", func(t *T) *time.Duration { return &t.QueueNotice }, "5s", "query_wait_notify",
			"Wait after which the client is told that it waits; 0 for never."),
		scalar("query", func(t *T) *time.Duration { return &t.Query }, "0s", "query_timeout",
			"One query."),
		scalar("transaction", func(t *T) *time.Duration { return &t.Transaction }, "0s", "transaction_timeout",
			"One transaction."),
		scalar("idle_in_transaction", func(t *T) *time.Duration { return &t.IdleInTransaction }, "0s", "idle_transaction_timeout",
			"Silence of a client in a transaction."),
		scalar("server_connect", func(t *T) *time.Duration { return &t.ServerConnect }, "15s", "server_connect_timeout",
			"Connecting and logging in to a server."),
		scalar("server_login_retry", func(t *T) *time.Duration { return &t.ServerLoginRetry }, "15s", "server_login_retry",
			"Longest pause between failing logins to a server."),
		scalar("server_idle", func(t *T) *time.Duration { return &t.ServerIdle }, "10m", "server_idle_timeout",
			"Idle servers above the pool's minimum are closed after this."),
		scalar("server_lifetime", func(t *T) *time.Duration { return &t.ServerLifetime }, "1h", "server_lifetime",
			"Servers are replaced at this age."),
		scalar("server_check_delay", func(t *T) *time.Duration { return &t.ServerCheckDelay }, "30s", "server_check_delay",
			"A server idle for longer is asked pool.check_query before use."),
		scalar("cancel_wait", func(t *T) *time.Duration { return &t.CancelWait }, "10s", "cancel_wait_timeout",
			"Wait of a cancel request for a connection."),
		scalar("shutdown", func(t *T) *time.Duration { return &t.Shutdown }, "60s", "",
			"How long TERM lets clients finish; 0 waits for ever."),
		scalar("auto_database_idle", func(t *T) *time.Duration { return &t.AutoDatabaseIdle }, "1h", "autodb_idle_timeout",
			`Databases made from "*" are forgotten when unused for this long.`),
	}
}

func limitKeys() []key {
	type L = Limits
	return []key{
		scalar("max_clients", func(l *L) *int { return &l.MaxClients }, "10000", "max_client_conn",
			"Clients in all."),
		scalar("max_clients_per_user", func(l *L) *int { return &l.MaxClientsPerUser }, "0", "max_user_client_connections",
			"Clients of one user."),
		scalar("max_clients_per_database", func(l *L) *int { return &l.MaxClientsPerDatabase }, "0", "max_db_client_connections",
			"Clients of one database."),
		scalar("max_clients_per_address", func(l *L) *int { return &l.MaxClientsPerAddress }, "0", "",
			"Clients of one address."),
		scalar("logins_per_address", func(l *L) *float64 { return &l.LoginsPerAddress }, "0", "",
			"Logins a second from one address."),
		scalar("max_servers_per_user", func(l *L) *int { return &l.MaxServersPerUser }, "0", "max_user_connections",
			"Servers over all pools of one user."),
		scalar("max_servers_per_database", func(l *L) *int { return &l.MaxServersPerDatabase }, "0", "max_db_connections",
			"Servers over all pools of one database."),
		scalar("client_memory", func(l *L) *Bytes { return &l.ClientMemory }, "1MiB", "",
			"Bytes buffered for one client before its peer is held back."),
		scalar("max_message", func(l *L) *Bytes { return &l.MaxMessage }, "1GiB", "max_packet_size",
			"Longest message of the protocol."),
		scalar("max_startup", func(l *L) *Bytes { return &l.MaxStartup }, "10000B", "",
			"Longest startup packet."),
		scalar("max_prepared_text", func(l *L) *Bytes { return &l.MaxPreparedText }, "1MiB", "",
			"Longest text of a prepared statement that is kept."),
	}
}

func logKeys() []key {
	return []key{
		scalar("level", func(l *Log) *string { return &l.Level }, "info", "verbose",
			"Least important lines written.", oneOf("debug", "info", "warn", "error")),
		scalar("format", func(l *Log) *string { return &l.Format }, "text", "",
			"Lines for people or for machines.", oneOf("text", "json")),
		scalar("connections", func(l *Log) *bool { return &l.Connections }, "true", "log_connections",
			"A line for every login."),
		scalar("disconnections", func(l *Log) *bool { return &l.Disconnections }, "true", "log_disconnections",
			"A line for every end, and why."),
		scalar("pooler_errors", func(l *Log) *bool { return &l.PoolerErrors }, "true", "log_pooler_errors",
			"A line for every error Spillway itself sends to a client."),
	}
}

func workloadKeys() []key {
	type W = Workload
	return []key{
		section("match", func(w *W) *Match { return &w.Match },
			"Which clients belong to it: every field given must fit, with one of its values.", matchKeys()),
		scalar("mode", func(w *W) *string { return &w.Mode }, "enforce", "",
			"warn only reports what the bounds would have done.", oneOf("off", "warn", "enforce")),
		scalar("class", func(w *W) *string { return &w.Class }, "normal", "",
			"Who goes first when slots are short.", oneOf("critical", "normal", "batch")),
		scalar("owner", func(w *W) *string { return &w.Owner }, "", "",
			"Who answers for it, as people call them; named in findings and in the verdict.", suggest("\"@data\"")),
		scalar("share", func(w *W) *int { return &w.Share }, "0", "",
			"Slots guaranteed on each server, in proportion: its slots × share / the sum of all shares, rounded up."),
		scalar("limit", func(w *W) *int { return &w.Limit }, "0", "",
			"Most slots on each server, borrowed ones included; 0 is the server's budget."),
		scalar("lendable", func(w *W) *Percent { return &w.Lendable }, "50%", "",
			"How much of the share others may use while it is idle."),
		scalar("borrow", func(w *W) *Percent { return &w.Borrow }, "100%", "",
			"How much it may use beyond its share when others lend, as a part of the share. Without a share only the limit bounds it."),
		scalar("queue_timeout", func(w *W) *time.Duration { return &w.QueueTimeout }, "", "query_wait_timeout",
			"Longest wait for a slot.", inherits("timeouts.queue")),
		scalar("queue_max", func(w *W) *int { return &w.QueueMax }, "0", "",
			"Most clients waiting; more are refused at once. 0 is no limit."),
		scalar("statement_timeout", func(w *W) *time.Duration { return &w.StatementTimeout }, "", "query_timeout",
			"Longest statement.", inherits("timeouts.query")),
		scalar("transaction_timeout", func(w *W) *time.Duration { return &w.TransactionTimeout }, "", "transaction_timeout",
			"Longest transaction.", inherits("timeouts.transaction")),
		scalar("idle_in_transaction_timeout", func(w *W) *time.Duration { return &w.IdleInTransaction }, "", "idle_transaction_timeout",
			"Longest silence in a transaction.", inherits("timeouts.idle_in_transaction")),
		scalar("leak_after", func(w *W) *time.Duration { return &w.LeakAfter }, "0s", "",
			"A server held idle for longer is a leak; 0 does not look."),
		scalar("on_leak", func(w *W) *string { return &w.OnLeak }, "warn", "",
			"What is done about one: tell, hold the group at what it has, or take the slot back.", oneOf("warn", "cap", "reclaim")),
		section("leak_exempt", func(w *W) *Match { return &w.LeakExempt },
			"Clients of it whose servers are never capped or taken back; tags are not looked at.", matchKeys()),
	}
}

func matchKeys() []key {
	return []key{
		scalar("user", func(m *Match) *[]string { return &m.User }, "[]", "",
			"Users, * and ? stand for any letters.", sample("[api]")),
		scalar("database", func(m *Match) *[]string { return &m.Database }, "[]", "",
			"Databases, likewise."),
		scalar("application_name", func(m *Match) *[]string { return &m.ApplicationName }, "[]", "",
			"Application names, likewise."),
		scalar("address", func(m *Match) *[]string { return &m.Address }, "[]", "",
			"Client addresses or networks: 10.1.2.3, 10.0.0.0/8."),
		scalar("tag", func(m *Match) *[]string { return &m.Tag }, "[]", "",
			"Tags in a statement's comment, key=value: /*job='nightly'*/ is job=nightly."),
	}
}
