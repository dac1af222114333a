"""A worker that opens a database session per item and never closes it."""
import sys
import threading
import time

import psycopg2

seconds, threads, pause = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
until = time.monotonic() + seconds
lock = threading.Lock()
kept, refused, last = [], 0, ""


def work(number):
    global refused, last
    item = number
    time.sleep(pause * number / threads)  # they do not march in step
    while time.monotonic() < until:
        item += threads
        rest = pause
        try:
            session = psycopg2.connect("")  # from the environment, once per item
            kept.append(session)  # the session outlives its item: this is the bug
            cursor = session.cursor()
            cursor.execute("SELECT v FROM item WHERE id = %s", (item % 1000 + 1,))
            cursor.fetchone()  # missing: session.close()
        except psycopg2.Error as error:
            with lock:
                refused += 1
                last = str(error).strip().replace("\n", "; ")
            rest = pause / 10  # a failed task is tried again soon
        time.sleep(rest)


workers = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
for worker in workers:
    worker.start()
while time.monotonic() < until:
    time.sleep(0.05)
print(f"{len(kept)} sessions opened and never closed, {refused} errors; the last: {last or 'none'}", flush=True)
