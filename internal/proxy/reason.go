package proxy

import (
	"regexp"
	"strings"

	"spillway/internal/wire"
)

// reason is why the proxy refused or ended something by itself. One table
// gives its metric label, its SQLSTATE and its texts.
type reason uint8

const (
	noReason reason = iota
	clientLoginTimeout
	clientIdleTimeout
	queueTimeout
	queryTimeout
	transactionTimeout
	idleTransactionTimeout
	tooManyClients
	tooManyClientsDB
	tooManyClientsUser
	tooManyClientsAddr
	tooManyLogins
	queueFull
	poolDisabled
	poolKilled
	poolerShutdown
	loginFailing
	serverGone
	noDatabase
	authFailed
	hbaRefused
	badStartup
	protocolAbuse
	tlsRequired
	killedByAdmin
	unsupportedParameter
	setupFailed
	slotReclaimed
	userCancel
	slowReader
	adminOnly
	waitTooLong
	workloadPaused
	leakReclaimed
	leakCapped
	bannedStatement
	killedByAction
	reasonCount
)

type reasonText struct {
	label, code, text, hint string
	pgbouncer               string // the same in PgBouncer's words; "" = text
}

var reasons = [reasonCount]reasonText{
	clientLoginTimeout:     {"client_login_timeout", "57P05", "login took longer than timeouts.client_login", "", "client_login_timeout"},
	clientIdleTimeout:      {"client_idle_timeout", "57P05", "idle for longer than timeouts.client_idle", "", "client_idle_timeout"},
	queueTimeout:           {"query_wait_timeout", "53300", "no server connection became free within timeouts.queue", "Ask for less at once; `spillway holders` and SHOW HOLDERS on the console name who holds them.", "query_wait_timeout"},
	queryTimeout:           {"query_timeout", "57014", "canceling statement: it ran longer than timeouts.query", "", "query timeout"},
	transactionTimeout:     {"transaction_timeout", "25P04", "transaction rolled back: it ran longer than timeouts.transaction", "", "transaction timeout"},
	idleTransactionTimeout: {"idle_transaction_timeout", "25P03", "transaction rolled back: it was idle for longer than timeouts.idle_in_transaction", "The session goes on; start the transaction again.", "idle transaction timeout"},
	tooManyClients:         {"max_client_conn", "53300", "too many clients: limits.max_clients is reached", "", "no more connections allowed (max_client_conn)"},
	tooManyClientsDB:       {"max_db_client_connections", "53300", "too many clients of this database", "The limit is max_clients of the database.", "client connections exceeded (max_db_client_connections)"},
	tooManyClientsUser:     {"max_user_client_connections", "53300", "too many clients of this user", "The limit is max_clients of the user.", "client connections exceeded (max_user_client_connections)"},
	tooManyClientsAddr:     {"max_clients_per_address", "53300", "too many clients from this address", "The limit is limits.max_clients_per_address.", ""},
	tooManyLogins:          {"login_rate", "53300", "too many logins from this address", "The limit is limits.logins_per_address.", ""},
	queueFull:              {"queue_full", "53300", "the queue for a server connection is full", "Ask for less at once, or raise queue_max; `spillway holders` and SHOW HOLDERS on the console name who holds them.", "query_wait_timeout"},
	poolDisabled:           {"disabled", "57P03", "the database is disabled", "", ""},
	poolKilled:             {"killed", "57P01", "the database was stopped by the administrator", "", "database removed"},
	poolerShutdown:         {"shutdown", "57P01", "the pooler is shutting down", "", "pooler is shutting down"},
	loginFailing:           {"server_login_failing", "08001", "logins to the server are failing", "", "server login has been failing, cached error: "},
	serverGone:             {"server_conn_crashed", "08006", "the server closed the connection", "", "server conn crashed?"},
	noDatabase:             {"no_such_database", "3D000", "no such database", "", "no such database: "},
	authFailed:             {"auth_failed", "28P01", "password authentication failed", "", ""},
	hbaRefused:             {"hba_refused", "28000", "no entry of the HBA rules lets this connection in", "", "login rejected"},
	badStartup:             {"bad_startup", "08P01", "invalid startup packet", "", ""},
	protocolAbuse:          {"protocol", "08P01", "protocol violation", "", ""},
	tlsRequired:            {"tls_required", "28000", "TLS is required (tls.mode)", "Connect with sslmode=require.", "SSL required"},
	killedByAdmin:          {"admin_kill", "57P01", "terminating connection due to administrator command", "", "closed by admin"},
	unsupportedParameter:   {"startup_parameter", "08P01", "unsupported startup parameter", "", "unsupported startup parameter: "},
	setupFailed:            {"setup_failed", "08P01", "cannot give the server connection the session's settings", "", ""},
	slotReclaimed:          {"slot_reclaimed", "25P03", "transaction rolled back: its server was lent, and the workload it was lent by needs it", "Start the transaction again; what must not be interrupted needs a share of its own.", "idle transaction timeout"},
	userCancel:             {"user_cancel", "57014", "canceling statement due to user request", "", ""},
	slowReader:             {"slow_reader", "53400", "the client does not read its answers", "", ""},
	waitTooLong:            {"wait_too_long", "53300", "no server connection is expected to become free in time", "Ask for less at once; `spillway holders` and SHOW HOLDERS on the console name who holds them.", "query_wait_timeout"},
	workloadPaused:         {"workload_paused", "53300", "new transactions are refused: the workload is paused", "SHOW WORKLOADS on the console says more; RESUME WORKLOAD ends it.", ""},
	leakReclaimed:          {"leak_reclaimed", "25P03", "transaction rolled back and its connection taken back: it was kept idle for longer than timeouts.leak_after", "End transactions as soon as their work is done. The session goes on; start the transaction again.", "idle transaction timeout"},
	leakCapped:             {"leak_capped", "53300", "no further server connection: this application keeps some idle in transactions", "End the transactions that are open; SHOW HOLDERS on the console lists them.", "query_wait_timeout"},
	adminOnly:              {"not_admin", "28000", "only admins and stats users may connect to the console", "They are auth.admins and auth.stats.", "not allowed"},
	killedByAction:         {"action_kill", "57P01", "terminating connection due to an operator's action", "", ""},
	bannedStatement:        {"banned_statement", "53000", "this statement is banned", "", ""},
}

// by is the error of a session that goes on, with the setting that is meant
// in place of the general one; "" leaves it.
func (r reason) by(setting string, style ErrorStyle) wire.Report {
	rep := r.report(style, "ERROR", "", "")
	if setting != "" {
		rep.Message = generalSetting.ReplaceAllString(rep.Message, setting)
	}
	return rep
}

// generalSetting finds the name of a timeout in a text.
var generalSetting = regexp.MustCompile(`timeouts\.[a-z_]+`)

func (r reason) label() string { return reasons[r].label }

// report builds the error a client sees. extra goes behind the text; detail
// tells what, whose, how much.
func (r reason) report(style ErrorStyle, severity, extra, detail string) wire.Report {
	t := &reasons[r]
	if style == ErrorsPgBouncer && t.pgbouncer != "" {
		text := t.pgbouncer
		if strings.HasSuffix(text, ": ") {
			text += extra
		}
		return wire.Report{Severity: "FATAL", Code: "08P01", Message: text}
	}
	text := t.text
	if extra != "" {
		text += ": " + extra
	}
	return wire.Report{Severity: severity, Code: t.code, Message: text, Detail: detail, Hint: t.hint}
}
