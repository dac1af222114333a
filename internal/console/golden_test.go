package console

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it):\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestGolden holds the whole answer of every SHOW.
func TestGolden(t *testing.T) {
	for _, c := range shows() {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, false)
			reply := b.query(c.name)
			if c.name == "SHOW MEM" {
				// Its figures are the runtime's.
				reply = slices.DeleteFunc(reply, func(m message) bool { return m.kind == 'D' })
			}
			golden(t, strings.ToLower(strings.ReplaceAll(c.name, " ", "_")), transcript(reply))
		})
	}
}

// TestColumns holds every column's name, type and place against PgBouncer
// 1.25.2's source (src/admin.c, src/stats.c), written down here once more.
func TestColumns(t *testing.T) {
	conns := "type:text user:text database:text replication:text state:text addr:text port:int4 local_addr:text local_port:int4 " +
		"connect_time:text request_time:text wait:int4 wait_us:int4 close_needed:int4 ptr:text link:text remote_pid:int4 " +
		"tls:text application_name:text prepared_statements:int4 id:int4"
	sockets := conns + " recv_pos:int4 pkt_pos:int4 pkt_remain:int4 send_pos:int4 send_remain:int4 pkt_avail:int4 send_avail:int4"
	for show, want := range map[string]string{
		"POOLS": "database:text user:text cl_active:int4 cl_waiting:int4 cl_active_cancel_req:int4 cl_waiting_cancel_req:int4 " +
			"sv_active:int4 sv_active_cancel:int4 sv_being_canceled:int4 sv_idle:int4 sv_used:int4 sv_tested:int4 sv_login:int4 " +
			"maxwait:int4 maxwait_us:int4 pool_mode:text load_balance_hosts:text",
		"CLIENTS": conns, "SERVERS": conns, "SOCKETS": sockets, "ACTIVE_SOCKETS": sockets,
		"STATS": "database:text total_server_assignment_count:numeric total_xact_count:numeric total_query_count:numeric " +
			"total_received:numeric total_sent:numeric total_xact_time:numeric total_query_time:numeric total_wait_time:numeric " +
			"total_client_parse_count:numeric total_server_parse_count:numeric total_bind_count:numeric " +
			"avg_server_assignment_count:numeric avg_xact_count:numeric avg_query_count:numeric avg_recv:numeric avg_sent:numeric " +
			"avg_xact_time:numeric avg_query_time:numeric avg_wait_time:numeric avg_client_parse_count:numeric " +
			"avg_server_parse_count:numeric avg_bind_count:numeric",
		"STATS_TOTALS": "database:text server_assignment_count:numeric xact_count:numeric query_count:numeric bytes_received:numeric " +
			"bytes_sent:numeric xact_time:numeric query_time:numeric wait_time:numeric client_parse_count:numeric " +
			"server_parse_count:numeric bind_count:numeric",
		"STATS_AVERAGES": "database:text server_assignment_count:numeric xact_count:numeric query_count:numeric bytes_received:numeric " +
			"bytes_sent:numeric xact_time:numeric query_time:numeric wait_time:numeric avg_client_parse_count:numeric " +
			"avg_server_parse_count:numeric avg_bind_count:numeric",
		"TOTALS": "name:text value:numeric",
		"LISTS":  "list:text items:int4",
		"DATABASES": "name:text host:text port:int4 database:text force_user:text pool_size:int4 min_pool_size:int4 " +
			"reserve_pool_size:int4 server_lifetime:int4 pool_mode:text load_balance_hosts:text max_connections:int4 " +
			"current_connections:int4 max_client_connections:int4 current_client_connections:int4 paused:int4 disabled:int4",
		"USERS": "name:text pool_size:text reserve_pool_size:text pool_mode:text max_user_connections:int4 current_connections:int4 " +
			"max_user_client_connections:int4 current_client_connections:int4",
		"CONFIG": "key:text value:text default:text changeable:text", "VERSION": "version:text", "STATE": "key:text value:text",
		"PEERS":      "peer_id:int4 host:text port:int4 pool_size:int4",
		"PEER_POOLS": "peer_id:int4 cl_active_cancel_req:int4 cl_waiting_cancel_req:int4 sv_active_cancel:int4 sv_login:int4",
		"MEM":        "name:text size:int4 used:int4 free:int4 memtotal:int4",
		"DNS_HOSTS":  "hostname:text ttl:int8 addrs:text", "DNS_ZONES": "zonename:text serial:int8 count:int4",
	} {
		t.Run(show, func(t *testing.T) {
			b := newBench(t, false)
			reply := b.query("show " + strings.ToLower(show) + ";")
			got := strings.TrimPrefix(reply[0].String(), "columns  ")
			if reply[0].kind != 'T' || got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			for _, m := range reply {
				if m.kind == 'D' && len(m.values) != len(reply[0].columns) {
					t.Errorf("a row has %d values for %d columns", len(m.values), len(reply[0].columns))
				}
			}
			end := transcript(reply[len(reply)-2:])
			if end != "complete SHOW\nready    I\n" {
				t.Errorf("ends with\n%s", end)
			}
		})
	}
}

func TestLists(t *testing.T) {
	want := "databases users peers pools peer_pools free_clients used_clients login_clients free_servers used_servers " +
		"dns_names dns_zones dns_queries dns_pending"
	var got []string
	for _, m := range newBench(t, false).query("SHOW LISTS") {
		if m.kind == 'D' {
			got = append(got, string(m.values[0]))
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %q", got)
	}
}
