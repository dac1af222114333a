package isolation

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
	"time"
)

// act does one random thing and changes the model accordingly.
func (c *client) act(ctx context.Context) error {
	if c.failed {
		return c.endTransaction(ctx, "ROLLBACK")
	}
	actions := []func(context.Context) error{
		c.set, c.set, c.setLocal, c.reset, c.setRole, c.temporary, c.lock, c.unlock, c.listen, c.prepareSQL, c.executeSQL,
		c.prepare, c.prepare, c.execute, c.executeUnknown, c.transaction, c.transaction, c.transaction, c.write, c.write, c.fail, c.discard, c.holdCursor, c.copyIn, c.cancel,
	}
	return actions[c.r.IntN(len(actions))](ctx)
}

func (c *client) set(ctx context.Context) error {
	s := settings()[c.r.IntN(len(settings()))]
	value := s.value(c.number)
	sql := s.statement("SET", value)
	if c.r.IntN(3) == 0 {
		sql = fmt.Sprintf("SELECT set_config('%s', '%s', false)", s.name, value)
	}
	if _, err := c.do(ctx, sql); err != nil {
		return fmt.Errorf("set: %w", err)
	}
	c.model.settings[s.name] = value
	return nil
}

// setLocal must be gone after the transaction, whatever its end.
func (c *client) setLocal(ctx context.Context) error {
	if c.begin != nil {
		return nil // the model has no place for a value that a COMMIT takes back
	}
	s := settings()[c.r.IntN(len(settings()))]
	end := []string{"COMMIT", "ROLLBACK"}[c.r.IntN(2)]
	if _, err := c.do(ctx, "BEGIN; "+s.statement("SET LOCAL", s.value(c.number))+"; "+end); err != nil {
		return fmt.Errorf("set local: %w", err)
	}
	return nil
}

func (c *client) reset(ctx context.Context) error {
	s := settings()[c.r.IntN(len(settings()))]
	if _, err := c.do(ctx, "RESET "+s.name); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	c.model.settings[s.name] = newModel(c.model.user, c.model.application).settings[s.name]
	return nil
}

func (c *client) setRole(ctx context.Context) error {
	role := []string{"role_a", "role_b", "NONE"}[c.r.IntN(3)]
	if _, err := c.do(ctx, "SET ROLE "+role); err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	c.model.role = strings.Replace(role, "NONE", c.model.user, 1)
	return nil
}

func (c *client) temporary(ctx context.Context) error {
	if c.model.scratch {
		// As the owner: the role may have changed since.
		_, err := c.do(ctx, "SET ROLE NONE; DROP TABLE pg_temp.scratch")
		c.model.scratch, c.model.role = false, c.model.user
		return err
	}
	_, err := c.do(ctx, fmt.Sprintf("SET ROLE NONE; CREATE TEMP TABLE scratch AS SELECT %d AS id; GRANT SELECT ON scratch TO PUBLIC", c.number))
	c.model.scratch, c.model.role = true, c.model.user
	return err
}

// lock takes a lock of its own number: it can only be busy if a dead client's
// life goes on.
func (c *client) lock(ctx context.Context) error {
	key := c.number*10 + c.r.IntN(2)
	if c.model.locks[key] {
		return nil
	}
	_, err := c.do(ctx, fmt.Sprintf("SELECT pg_advisory_lock(%d)", key))
	c.model.locks[key] = true
	return err
}

func (c *client) unlock(ctx context.Context) error {
	for key := range maps.Clone(c.model.locks) {
		rows, err := c.do(ctx, fmt.Sprintf("SELECT pg_advisory_unlock(%d)", key))
		if err != nil {
			return err
		}
		if rows[0][0] != "t" {
			return fmt.Errorf("%w: own lock %d is gone", errLeak, key)
		}
		delete(c.model.locks, key)
	}
	return nil
}

func (c *client) listen(ctx context.Context) error {
	if c.begin != nil {
		return nil // takes effect at COMMIT only
	}
	verb := map[bool]string{false: "LISTEN", true: "UNLISTEN"}[c.model.listens]
	_, err := c.do(ctx, fmt.Sprintf("%s channel_%d", verb, c.number))
	c.model.listens = !c.model.listens
	return err
}

// planNames are few, so that clients use the same for different statements.
var planNames = []string{"p1", "p2", "p3"}

func (c *client) prepareSQL(ctx context.Context) error {
	name := planNames[c.r.IntN(len(planNames))]
	if c.model.sqlPlans[name] != "" || c.model.plans[name] != "" {
		return nil
	}
	answer := fmt.Sprintf("sql %d %d", c.number, c.r.IntN(1000))
	_, err := c.do(ctx, fmt.Sprintf("PREPARE %s AS SELECT '%s'", name, answer))
	c.model.sqlPlans[name] = answer
	return err
}

func (c *client) executeSQL(ctx context.Context) error {
	for name, answer := range c.model.sqlPlans {
		rows, err := c.do(ctx, "EXECUTE "+name)
		if err != nil {
			return fmt.Errorf("execute own %s: %w", name, err)
		}
		if rows[0][0] != answer {
			return fmt.Errorf("%w: EXECUTE %s says %q, should say %q", errLeak, name, rows[0][0], answer)
		}
	}
	return nil
}

func (c *client) prepare(ctx context.Context) error {
	name := planNames[c.r.IntN(len(planNames))]
	if c.model.sqlPlans[name] != "" {
		return nil
	}
	if c.model.plans[name] != "" {
		c.trail = append(c.trail, "Close "+name)
		delete(c.model.plans, name)
		return c.conn.Deallocate(ctx, name)
	}
	answer := fmt.Sprintf("plan %d %d", c.number, c.r.IntN(1000))
	c.trail = append(c.trail, "Parse "+name)
	if _, err := c.conn.Prepare(ctx, name, fmt.Sprintf("SELECT '%s' || $1::text", answer), nil); err != nil {
		return fmt.Errorf("prepare %s: %w", name, err)
	}
	c.model.plans[name] = answer
	return nil
}

func (c *client) execute(ctx context.Context) error {
	for name, answer := range c.model.plans {
		c.trail = append(c.trail, "Bind, Execute "+name)
		got := c.conn.ExecPrepared(ctx, name, [][]byte{[]byte("!")}, nil, nil).Read()
		if got.Err != nil {
			return fmt.Errorf("execute own %s: %w", name, got.Err)
		}
		if string(got.Rows[0][0]) != answer+"!" {
			return fmt.Errorf("%w: statement %s says %q, should say %q", errLeak, name, got.Rows[0][0], answer+"!")
		}
	}
	return nil
}

// executeUnknown uses names that this client never prepared.
func (c *client) executeUnknown(ctx context.Context) error {
	if c.begin != nil {
		return nil
	}
	for _, name := range planNames {
		if c.model.plans[name] != "" || c.model.sqlPlans[name] != "" {
			continue
		}
		if _, err := c.do(ctx, "EXECUTE "+name); code(err) != "26000" {
			return fmt.Errorf("%w: EXECUTE of %s, never prepared: SQLSTATE %q", errLeak, name, code(err))
		}
		c.trail = append(c.trail, "Bind "+name)
		if got := c.conn.ExecPrepared(ctx, name, nil, nil, nil).Read(); code(got.Err) != "26000" {
			return fmt.Errorf("%w: Bind of %s, never prepared: SQLSTATE %q", errLeak, name, code(got.Err))
		}
	}
	return nil
}

func (c *client) transaction(ctx context.Context) error {
	if c.begin != nil {
		return c.endTransaction(ctx, []string{"COMMIT", "COMMIT", "ROLLBACK"}[c.r.IntN(3)])
	}
	if _, err := c.do(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	at := c.model.clone()
	c.begin = &at
	return nil
}

func (c *client) endTransaction(ctx context.Context, verb string) error {
	if c.begin == nil {
		return nil
	}
	c.maybe = append(c.maybe, c.rows...)
	if _, err := c.do(ctx, verb); err != nil {
		return fmt.Errorf("end transaction: %w", err)
	}
	c.maybe = c.maybe[:len(c.maybe)-len(c.rows)]
	if verb == "COMMIT" && !c.failed {
		c.kept = append(c.kept, c.rows...)
	} else {
		c.model = c.model.rolledBack(*c.begin)
	}
	c.begin, c.failed, c.rows = nil, false, nil
	return nil
}

// write puts a row into the ledger, which the audit reads in the end.
func (c *client) write(ctx context.Context) error {
	row := c.number*1000 + c.r.IntN(1000)
	if c.begin == nil {
		c.maybe = append(c.maybe, row)
	}
	if _, err := c.do(ctx, fmt.Sprintf("INSERT INTO public.ledger VALUES (%d)", row)); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if c.begin == nil {
		c.kept = append(c.kept, row)
		c.maybe = c.maybe[:len(c.maybe)-1]
	} else {
		c.rows = append(c.rows, row)
	}
	return nil
}

func (c *client) fail(ctx context.Context) error {
	if _, err := c.do(ctx, "SELECT 1/0"); code(err) != "22012" {
		return fmt.Errorf("divide by zero: %w", err)
	}
	return nil
}

func (c *client) discard(ctx context.Context) error {
	if c.begin != nil {
		return nil
	}
	if _, err := c.do(ctx, "DISCARD ALL"); err != nil {
		return fmt.Errorf("discard all: %w", err)
	}
	c.model = newModel(c.model.user, c.model.application)
	return nil
}

func (c *client) holdCursor(ctx context.Context) error {
	if c.begin != nil {
		return nil
	}
	sql := fmt.Sprintf("BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT %d; COMMIT", c.number)
	if c.model.held {
		sql = "FETCH NEXT FROM held; CLOSE held"
	}
	rows, err := c.do(ctx, sql)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	if c.model.held && rows[0][0] != fmt.Sprint(c.number) {
		return fmt.Errorf("%w: cursor holds %v, should hold %d", errLeak, rows, c.number)
	}
	c.model.held = !c.model.held
	return nil
}

func (c *client) copyIn(ctx context.Context) error {
	if c.begin != nil {
		return nil
	}
	row := c.number*1000 + c.r.IntN(1000)
	c.maybe = append(c.maybe, row)
	c.trail = append(c.trail, "COPY")
	if _, err := c.conn.CopyFrom(ctx, strings.NewReader(fmt.Sprintf("%d\n", row)), "COPY public.ledger FROM STDIN"); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	c.kept = append(c.kept, row)
	c.maybe = c.maybe[:len(c.maybe)-1]
	return nil
}

// cancel must end this client's statement and nobody else's; the others would
// fail with 57014.
func (c *client) cancel(ctx context.Context) error {
	if c.begin != nil {
		return nil
	}
	c.trail = append(c.trail, "cancel")
	asleep := c.conn.Exec(ctx, "SELECT pg_sleep(0.3)")
	wait := time.Duration(c.r.IntN(100)) * time.Millisecond
	done := make(chan error, 1)
	time.AfterFunc(wait, func() { done <- c.conn.CancelRequest(ctx) })
	_, err := asleep.ReadAll()
	if cancelErr := <-done; cancelErr != nil {
		return fmt.Errorf("send cancel: %w", cancelErr)
	}
	if err != nil && code(err) != "57014" {
		return fmt.Errorf("cancelled query: %w", err)
	}
	// A late cancel may hit the next statement; this one is there to be hit.
	if _, err := c.conn.Exec(ctx, "SELECT pg_sleep(0.05)").ReadAll(); err != nil && code(err) != "57014" {
		return fmt.Errorf("after a cancel: %w", err)
	}
	return nil
}

// die ends the life in one of many ways.
func (c *client) die(ctx context.Context) error {
	ways := []func(context.Context) error{c.goodbye, c.goodbye, c.vanish, c.reboot, c.dieInQuery, c.dieInCopy, c.dieInMessage, c.dieInPipeline, c.dieInTransaction}
	return ways[c.r.IntN(len(ways))](ctx)
}

func (c *client) goodbye(ctx context.Context) error { return c.conn.Close(ctx) }
func (c *client) vanish(context.Context) error      { c.hangUp(false); return nil }
func (c *client) reboot(context.Context) error      { c.hangUp(true); return nil }

// last writes raw bytes and hangs up.
func (c *client) last(b []byte) error {
	_, _ = c.conn.Conn().Write(b) // dying anyway
	c.hangUp(c.r.IntN(2) == 0)
	return nil
}

func message(kind byte, body string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(b, body...)
}

func (c *client) dieInQuery(context.Context) error {
	return c.last(message('Q', fmt.Sprintf("BEGIN; INSERT INTO public.ledger VALUES (%d); SELECT pg_sleep(1); ROLLBACK\x00", -c.number-1000000)))
}

func (c *client) dieInCopy(context.Context) error {
	return c.last(append(message('Q', "COPY public.ledger FROM STDIN\x00"), message('d', fmt.Sprintf("%d\n", -c.number-2000000))...))
}

func (c *client) dieInMessage(context.Context) error {
	whole := message('Q', fmt.Sprintf("INSERT INTO public.ledger VALUES (%d)\x00", -c.number-3000000))
	return c.last(whole[:1+c.r.IntN(len(whole)-1)])
}

// dieInPipeline sends no Sync, so nothing of it may stay.
func (c *client) dieInPipeline(context.Context) error {
	b := message('P', fmt.Sprintf("\x00INSERT INTO public.ledger VALUES (%d)\x00\x00\x00", -c.number-4000000))
	b = append(b, message('B', "\x00\x00\x00\x00\x00\x00\x00\x00")...)
	b = append(b, message('E', "\x00\x00\x00\x00\x00")...)
	return c.last(append(b, message('H', "")...))
}

func (c *client) dieInTransaction(ctx context.Context) error {
	if c.begin == nil && !c.failed {
		if _, err := c.do(ctx, fmt.Sprintf("BEGIN; SET work_mem = '3MB'; INSERT INTO public.ledger VALUES (%d)", -c.number-5000000)); err != nil {
			return c.leave(err)
		}
	}
	c.hangUp(false)
	return nil
}
