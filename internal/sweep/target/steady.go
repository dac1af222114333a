package target

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// called finds functions and operators in the tree that PostgreSQL keeps of a
// view: PostgreSQL's own analysis, with casts and operators resolved.
var called = regexp.MustCompile(`:(funcid|opfuncid|opno) (\d+)`)

// currentTime is CURRENT_TIME (SQLVALUEFUNCTION 1 and 2), whose type has a zone
// that cannot be frozen exactly.
var currentTime = regexp.MustCompile(`SQLVALUEFUNCTION :op [12] `)

// frozen are STABLE functions that become constants.
var frozen = []string{"now", "transaction_timestamp", "statement_timestamp"}

// settled are STABLE functions whose answer depends on settings of the session
// alone, which a sweep does not change.
var settled = []string{
	"date_part", "date_trunc", "date_bin", "extract", "timezone", "to_char", "to_date", "to_timestamp", "to_number", "make_timestamptz",
	"timestamptz", "timestamp", "date", "time", "timetz", "concat", "concat_ws", "format", "array_to_string", "to_json", "to_jsonb",
	"jsonb_build_object", "json_build_object", "jsonb_build_array", "json_build_array",
	"to_tsvector", "to_tsquery", "plainto_tsquery", "phraseto_tsquery", "websearch_to_tsquery", "generate_series",
}

// steady refuses a condition whose answer for one and the same row may change
// while the sweep runs.
func steady(ctx context.Context, tx pgx.Tx, tree string) error {
	if currentTime.MatchString(tree) {
		return refuse("the condition uses CURRENT_TIME, which cannot be fixed when the sweep starts", "use now() or LOCALTIME")
	}
	functions, operators := []uint32{}, []uint32{}
	for _, m := range called.FindAllStringSubmatch(tree, -1) {
		oid, err := strconv.ParseUint(m[2], 10, 32)
		if err != nil {
			return fmt.Errorf("read condition's tree: %w", err)
		}
		if m[1] == "opno" {
			operators = append(operators, uint32(oid))
		} else {
			functions = append(functions, uint32(oid))
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT p.proname, p.oid::regprocedure::text, p.provolatile::text, n.nspname = 'pg_catalog',
		       EXISTS (SELECT 1 FROM pg_operator o WHERE o.oprcode = p.oid) OR EXISTS (SELECT 1 FROM pg_cast k WHERE k.castfunc = p.oid)
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE p.provolatile <> 'i' AND (p.oid = ANY($1) OR p.oid IN (SELECT oprcode FROM pg_operator WHERE oid = ANY($2)))
		ORDER BY p.provolatile DESC, 2`, functions, operators)
	if err != nil {
		return fmt.Errorf("read condition's functions: %w", err)
	}
	var name, signature, volatility string
	var own, part bool
	_, err = pgx.ForEachRow(rows, []any{&name, &signature, &volatility, &own, &part}, func() error {
		signature = strings.TrimPrefix(signature, "pg_catalog.")
		switch {
		case volatility == "v":
			return refuse(fmt.Sprintf("the condition calls %s, which is VOLATILE: no two batches would mean the same rows", signature), "write a condition on the row's own values and now()")
		case own && (part || slices.Contains(frozen, name) || slices.Contains(settled, name)):
			return nil
		}
		return refuse(fmt.Sprintf("the condition calls %s, which is STABLE: its answer may change between batches", signature),
			"write the condition out with now(), which is fixed when the sweep starts, or mark the function IMMUTABLE if it is")
	})
	return err
}
