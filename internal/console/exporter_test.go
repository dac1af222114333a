package console

import (
	"strconv"
	"strings"
	"testing"
)

// scanned is a row as database/sql over lib/pq would scan it: integers by OID,
// text as string, NULL as nil, every other type as the bytes it came in.
type scanned map[string]any

func scanRows(t *testing.T, reply []message) (columns []string, rows []scanned) {
	t.Helper()
	var described message
	for _, m := range reply {
		switch m.kind {
		case 'E':
			t.Fatal(m)
		case 'T':
			described = m
			for _, c := range m.columns {
				columns = append(columns, c.Name)
			}
		case 'D':
			row := scanned{}
			for i, v := range m.values {
				row[columns[i]] = scanValue(t, described.columns[i].OID, v)
			}
			rows = append(rows, row)
		}
	}
	return columns, rows
}

func scanValue(t *testing.T, oid uint32, v []byte) any {
	t.Helper()
	switch {
	case v == nil:
		return nil
	case oid == oidInt4 || oid == oidInt8:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			t.Error(err)
		}
		return n
	case oid == oidText:
		return string(v)
	}
	return v
}

// float is the exporter's dbToFloat64.
func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case []byte:
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil
	case nil:
		return 0, true
	}
	return 0, false
}

// TestExporter replays what prometheus-community's pgbouncer_exporter 0.12.1
// sends in one scrape and reads every column that it reads, as it reads it.
func TestExporter(t *testing.T) {
	b := newBench(t, false)
	b.tags("SHOW STATS") // its ping

	if columns, rows := scanRows(t, b.query("SHOW VERSION;")); len(columns) != 1 || columns[0] != "version" || len(rows) != 1 {
		t.Errorf("version: %q, %d rows", columns, len(rows))
	}
	columns, rows := scanRows(t, b.query("SHOW LISTS;"))
	if len(columns) != 2 {
		t.Errorf("lists: %q", columns)
	}
	for _, row := range rows {
		if _, ok := float(row["items"]); !ok {
			t.Errorf("list %v: %v is no number", row["list"], row["items"])
		}
	}
	exporterConfig(t, b)
	exporterClients(t, b)
	labels := map[string]string{
		"databases": "name host port database force_user pool_mode", "stats_totals": "database", "pools": "database user",
	}
	values := map[string]string{
		"databases": "pool_size reserve_pool_size max_connections current_connections paused disabled",
		"stats_totals": "query_count query_time bytes_received bytes_sent wait_time xact_count xact_time client_parse_count " +
			"server_parse_count bind_count server_assignment_count",
		"pools": "cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled " +
			"sv_idle sv_used sv_tested sv_login maxwait",
	}
	for show := range labels {
		_, rows := scanRows(t, b.query("SHOW "+show+";"))
		if len(rows) == 0 {
			t.Errorf("%s: no rows", show)
		}
		for _, row := range rows {
			exporterRow(t, show, row, strings.Fields(labels[show]), strings.Fields(values[show]))
		}
	}
}

func exporterRow(t *testing.T, show string, row scanned, labels, values []string) {
	t.Helper()
	for _, name := range labels {
		switch v := row[name].(type) {
		case int64, string, nil:
		default:
			t.Errorf("%s: label %s is of type %T", show, name, v)
		}
	}
	for _, name := range values {
		v, there := row[name]
		if _, ok := float(v); !there || !ok {
			t.Errorf("%s: %s is %v", show, name, v)
		}
	}
}

func exporterConfig(t *testing.T, b *bench) {
	columns, rows := scanRows(t, b.query("SHOW CONFIG;"))
	if len(columns) != 3 && len(columns) != 4 {
		t.Errorf("config: %q", columns)
	}
	found := map[string]bool{}
	for _, row := range rows {
		key := row["key"].(string)
		if key == "max_client_conn" || key == "max_user_connections" {
			_, found[key] = float(row["value"])
		}
	}
	if !found["max_client_conn"] || !found["max_user_connections"] {
		t.Errorf("config: %v", found)
	}
}

func exporterClients(t *testing.T, b *bench) {
	_, rows := scanRows(t, b.query("SHOW CLIENTS;"))
	for _, row := range rows {
		for _, name := range []string{"database", "user", "state", "application_name"} {
			if _, ok := row[name].(string); !ok {
				t.Errorf("clients: %s is %T", name, row[name])
			}
		}
	}
}
