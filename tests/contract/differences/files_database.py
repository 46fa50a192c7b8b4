"""A database that two write in turn, each with a connection that stays."""

import contextlib
import multiprocessing as mp
import os
import sqlite3
import sys
import tempfile


def attempt(folder, conn):
    database = sqlite3.connect(os.path.join(folder, "database"))
    database.execute("insert into t values (1)")
    database.commit()
    conn.send("written")
    conn.recv()
    try:
        database.execute("insert into t values (3)")
        database.commit()
        conn.send("written again")
    except sqlite3.OperationalError as error:
        conn.send(str(error))
    # Of no use any more: what it says at its end it has said.
    with contextlib.suppress(sqlite3.OperationalError):
        database.close()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(os.path.join(folder, "database"))
        database.execute("create table t (n)")
        database.commit()
        process = mp.Process(target=attempt, args=(folder, there))
        process.start()
        here.recv()
        database.execute("insert into t values (2)")
        database.commit()
        database.close()
        here.send("your turn")
        print(here.recv())
        process.join()
