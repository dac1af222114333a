"""One run of a clean-up job: it never gets to its end before its deadline."""
import os
import sys
import threading
import time

import psycopg2

seconds, sessions, deadline, sql = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
until = time.monotonic() + seconds
lock = threading.Lock()
tried, failed, last = 0, 0, ""


def clean(session):
    """Takes expired sessions and deletes them one by one, all or nothing."""
    cursor = session.cursor()
    cursor.execute(sql)
    rows, begun = cursor.fetchall(), time.monotonic()
    for row in rows:
        if time.monotonic() > min(until, begun + deadline):
            break
        cursor.execute("DELETE FROM sessions WHERE id = %s", (row[0],))
        time.sleep(0.02)  # what else it does for each
    session.rollback()  # past its deadline: all of it was for nothing


def give_back(session):
    """Ends what is open, or the session when that fails."""
    if session is None or session.closed:
        return
    try:
        session.rollback()
    except psycopg2.Error:
        session.close()


def work():
    global tried, failed, last
    session = None
    while time.monotonic() < until:
        pause = 0.0
        try:
            tried += 1
            pause = 0.3  # when there is no connection to be had
            if session is None or session.closed:
                session = psycopg2.connect("")
            pause = 3.0
            clean(session)
            pause = 0.0
        except psycopg2.Error as error:
            with lock:
                failed += 1
                last = str(error).strip().replace("\n", "; ")
            give_back(session)
        time.sleep(pause)


workers = [threading.Thread(target=work, daemon=True) for _ in range(sessions)]
for worker in workers:
    worker.start()
while time.monotonic() < until:
    time.sleep(0.05)
print(f"tried {tried} times, none came to its end, {failed} failed; the last: {last or 'none'}", flush=True)
os._exit(0)  # as a job that is killed: its statements run on
