"""What a listener says of the client it has accepted."""

import multiprocessing as mp
import sys
from multiprocessing import connection


def dial(address):
    connection.Client(address).recv()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with connection.Listener(("127.0.0.1", 0)) as listener:
        process = mp.Process(target=dial, args=(listener.address,))
        process.start()
        listener.accept().send("accepted")
        process.join()
        print(listener.last_accepted[0])
