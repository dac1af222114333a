"""psycopg2: simple queries, transactions, COPY, server-side cursors, errors, threads."""
import io
import sys
import threading

import psycopg2
import psycopg2.extras
import psycopg2.pool

DSN = "dbname=" + sys.argv[1]

conn = psycopg2.connect(DSN)
cur = conn.cursor()
cur.execute("CREATE TABLE items (id serial PRIMARY KEY, name text, doc jsonb)")
conn.commit()
psycopg2.extras.execute_values(cur, "INSERT INTO items (name, doc) VALUES %s",
                               [(f"n{i}", psycopg2.extras.Json({"i": i})) for i in range(1000)])
conn.commit()
cur.execute("SELECT count(*) FROM items WHERE name LIKE %s", ("n1%",))
assert cur.fetchone()[0] == 111

# An error leaves the transaction failed; rollback mends it.
try:
    cur.execute("SELECT 1/0")
    raise SystemExit("no error from 1/0")
except psycopg2.errors.DivisionByZero:
    pass
try:
    cur.execute("SELECT 1")
    raise SystemExit("a failed transaction went on")
except psycopg2.errors.InFailedSqlTransaction:
    conn.rollback()

# A server-side cursor in a transaction.
with conn.cursor(name="walk") as walk:
    walk.itersize = 100
    walk.execute("SELECT id FROM items ORDER BY id")
    assert [r[0] for r in walk] == list(range(1, 1001))
conn.commit()

# COPY both ways.
cur.copy_expert("COPY items (name) FROM STDIN", io.StringIO("".join(f"c{i}\n" for i in range(5000))))
conn.commit()
out = io.StringIO()
cur.copy_expert("COPY (SELECT name FROM items WHERE name LIKE 'c%' ORDER BY id) TO STDOUT", out)
assert out.getvalue() == "".join(f"c{i}\n" for i in range(5000))
conn.commit()

# A session setting follows the client, autocommit or not.
conn.autocommit = True
cur.execute("SET TIME ZONE 'Asia/Tokyo'")
for _ in range(20):
    cur.execute("SHOW TimeZone")
    assert cur.fetchone()[0] == "Asia/Tokyo"

# Threads over the driver's own pool.
pool = psycopg2.pool.ThreadedConnectionPool(1, 8, DSN)
wrong = []


def work(n):
    for i in range(50):
        c = pool.getconn()
        try:
            with c, c.cursor() as k:
                k.execute("SELECT %s, pg_sleep(0.001)", (n * 1000 + i,))
                if k.fetchone()[0] != n * 1000 + i:
                    wrong.append((n, i))
        finally:
            pool.putconn(c)


threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for th in threads:
    th.start()
for th in threads:
    th.join()
assert not wrong, wrong
pool.closeall()

# Cancel of a running statement.
timer = threading.Timer(0.3, conn.cancel)
timer.start()
try:
    cur.execute("SELECT pg_sleep(60)")
    raise SystemExit("a cancelled statement ended well")
except psycopg2.errors.QueryCanceled:
    pass
cur.execute("SELECT 1")
conn.close()
