"""psycopg 3: the extended protocol, automatic prepared statements, pipelines, COPY, async."""
import asyncio
import sys

import psycopg

DSN = "dbname=" + sys.argv[1]

with psycopg.connect(DSN) as conn:
    conn.execute("CREATE TABLE items (id serial PRIMARY KEY, name text)")
    conn.commit()
    # Prepared after the fifth use by itself, at once when asked.
    for i in range(50):
        with conn.transaction():
            got = conn.execute("SELECT %s::int + 1", (i,)).fetchone()[0]
            assert got == i + 1
    for i in range(50):
        with conn.transaction():
            assert conn.execute("SELECT %s::text || 'x'", (str(i),), prepare=True).fetchone()[0] == f"{i}x"
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO items (name) VALUES (%s)", [(f"n{i}",) for i in range(1000)])
    conn.commit()
    with conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(200)]
    assert [c.fetchone()[0] for c in cursors] == list(range(200))
    conn.commit()
    # An error in the middle of a pipeline.
    try:
        with conn.pipeline():
            conn.execute("SELECT 1")
            conn.execute("SELECT 1/0")
            conn.execute("SELECT 2")
        raise SystemExit("no error from 1/0")
    except psycopg.errors.DivisionByZero:
        conn.rollback()
    with conn.cursor() as cur:
        with cur.copy("COPY items (name) FROM STDIN") as copy:
            for i in range(5000):
                copy.write_row((f"c{i}",))
        conn.commit()
        with cur.copy("COPY (SELECT name FROM items WHERE name LIKE 'c%' ORDER BY id) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 5000
    conn.commit()
    with conn.cursor(name="walk") as cur:
        cur.execute("SELECT id FROM items ORDER BY id")
        assert len(cur.fetchall()) == 6000
    conn.commit()
    assert conn.execute("SELECT %b::int", (5,)).fetchone()[0] == 5  # binary parameters

# A changed table under a prepared statement: directly and in session mode the
# server's error, in transaction mode healed outside of a transaction.
with psycopg.connect(DSN, autocommit=True) as conn:
    for i in range(10):
        conn.execute("SELECT * FROM items WHERE id = %s", (1,), prepare=True).fetchone()
    conn.execute("ALTER TABLE items ADD COLUMN extra int DEFAULT 7")
    try:
        assert conn.execute("SELECT * FROM items WHERE id = %s", (1,), prepare=True).fetchone()[-1] == 7
        healed = True
    except psycopg.errors.FeatureNotSupported:
        healed = False
    assert healed == (sys.argv[2] == "transaction")


async def one(n):
    async with await psycopg.AsyncConnection.connect(DSN, autocommit=True) as c:
        for i in range(40):
            r = await (await c.execute("SELECT %s::int, pg_sleep(0.001)", (n * 100 + i,))).fetchone()
            assert r[0] == n * 100 + i


async def main():
    await asyncio.gather(*(one(n) for n in range(30)))


asyncio.run(main())
