"""A client library that opens connections, fails them, and at once opens more.

Every third connection has the wrong password, every third is right and thrown
away after its login, and every third is given up during its login without
being closed: that one keeps its place on the server.
"""
import os
import sys
import threading
import time

import psycopg2

seconds, threads, most = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
until = time.monotonic() + seconds
lock = threading.Lock()
abandoned = []
tries = {"wrong password": 0, "thrown away": 0, "given up in its login": 0}
failed, last = 0, ""


def give_up():
    """Begins a login, waits until the server asks for the password, forgets it."""
    link = psycopg2.connect("", async_=1)
    for _ in range(3):
        if link.poll() == psycopg2.extensions.POLL_READ:
            break
    with lock:
        abandoned.append(link)
        if len(abandoned) > most:
            abandoned.pop(0).close()


def work(number):
    global failed, last
    turn = number
    while time.monotonic() < until:
        turn += 1
        kind = list(tries)[turn % 3]
        try:
            if kind == "wrong password":
                psycopg2.connect("", password="not-" + os.environ["PGPASSWORD"][:4])
            elif kind == "thrown away":
                psycopg2.connect("").close()
            else:
                give_up()
        except psycopg2.Error as error:
            with lock:
                failed += 1
                last = str(error).strip().replace("\n", "; ")
        with lock:
            tries[kind] += 1


workers = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
for worker in workers:
    worker.start()
while time.monotonic() < until:
    time.sleep(0.05)
told = ", ".join(f"{count} {kind}" for kind, count in tries.items())
print(f"{told}; {failed} failed; the last: {last or 'none'}", flush=True)
os._exit(0)  # nothing is closed in order
