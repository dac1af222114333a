"""asyncpg: binary results, its statement cache, cursors, COPY, a pool with more clients than servers."""
import asyncio
import sys

import asyncpg

NAME = sys.argv[1]


async def main():
    conn = await asyncpg.connect(database=NAME)
    await conn.execute("CREATE TABLE items (id serial PRIMARY KEY, name text, at timestamptz DEFAULT now())")
    await conn.executemany("INSERT INTO items (name) VALUES ($1)", [(f"n{i}",) for i in range(1000)])
    assert await conn.fetchval("SELECT count(*) FROM items") == 1000
    stmt = await conn.prepare("SELECT id, name FROM items WHERE id = $1")
    for i in range(1, 200):
        row = await stmt.fetchrow(i)
        assert row["id"] == i and row["name"] == f"n{i - 1}"
    async with conn.transaction():
        seen = [r["id"] async for r in conn.cursor("SELECT id FROM items ORDER BY id", prefetch=50)]
    assert seen == list(range(1, 1001))
    try:
        async with conn.transaction():
            await conn.execute("INSERT INTO items (id, name) VALUES (5000, 'kept?')")
            await conn.fetch("SELECT 1/0")
    except asyncpg.DivisionByZeroError:
        pass
    assert await conn.fetchval("SELECT count(*) FROM items WHERE id = 5000") == 0
    await conn.copy_records_to_table("items", records=[(f"c{i}",) for i in range(5000)], columns=["name"])
    assert await conn.fetchval("SELECT count(*) FROM items WHERE name LIKE 'c%'") == 5000
    try:
        await conn.fetch("SELECT pg_sleep(60)", timeout=0.3)  # asyncpg cancels it
        raise SystemExit("a timed-out statement ended well")
    except asyncio.TimeoutError:
        pass
    assert await conn.fetchval("SELECT 42") == 42
    await conn.close()

    pool = await asyncpg.create_pool(database=NAME, min_size=2, max_size=15)

    async def one(n):
        async with pool.acquire() as c:
            async with c.transaction():
                assert await c.fetchval("SELECT $1::int", n) == n

    await asyncio.gather(*(one(n) for n in range(600)))
    await pool.close()


asyncio.run(main())
