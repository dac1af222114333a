"""A client library that opens connections, fails them, and at once opens more.

Every third connection has the wrong password, every third is right and thrown
away after its login, and every third is given up during its login without
being closed: that one keeps its place on the server.
"""
import os
import select
import sys
import threading
import time

import psycopg2
from psycopg2 import extensions

seconds, threads, most, pause = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
until = time.monotonic() + seconds
lock = threading.Lock()
abandoned = []
tries = {"with a wrong password": 0, "thrown away": 0, "given up half way": 0}
failed, last = 0, ""


def give_up():
    """Begins a login, sends who it is, and forgets it before the password."""
    link = psycopg2.connect("", async_=1)
    for _ in range(5):
        if link.poll() == extensions.POLL_READ:
            break
    if select.select([link], [], [], 1)[0]:
        link.poll()  # raises when it was refused; else the server now waits for us
    with lock:
        abandoned.append(link)
        old = abandoned.pop(0) if len(abandoned) > most else None
    if old:
        old.close()


def once(kind):
    if kind == "with a wrong password":
        psycopg2.connect("", password="wrong")
    elif kind == "thrown away":
        psycopg2.connect("").close()
    else:
        give_up()


def work(number):
    global failed, last
    turn = number
    while time.monotonic() < until:
        turn += 1
        kind = list(tries)[turn % 3]
        try:
            once(kind)
        except psycopg2.Error as error:
            with lock:
                failed += 1
                last = str(error).strip().replace("\n", "; ")
        with lock:
            tries[kind] += 1
        time.sleep(pause)


workers = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
for worker in workers:
    worker.start()
while time.monotonic() < until:
    time.sleep(0.05)
told = ", ".join(f"{count} {kind}" for kind, count in tries.items())
print(f"{told}; {failed} failed; the last: {last or 'none'}", flush=True)
os._exit(0)  # nothing is closed in order
