package pgtest

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// Console runs a command on a pooler's admin console as user postgres and
// returns its rows by column name, NULL as "".
func Console(p *Pooler, command string) ([]map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryLimit)
	defer cancel()
	conn, err := pgconn.Connect(ctx, p.URL(Login{Database: "pgbouncer"}))
	if err != nil {
		return nil, fmt.Errorf("connect to console: %w", err)
	}
	results, err := conn.Exec(ctx, command).ReadAll()
	if closeErr := conn.Close(ctx); err == nil && closeErr != nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", command, err)
	}
	var rows []map[string]string
	for _, r := range results {
		for _, values := range r.Rows {
			row := map[string]string{}
			for i, v := range values {
				row[r.FieldDescriptions[i].Name] = string(v)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}
