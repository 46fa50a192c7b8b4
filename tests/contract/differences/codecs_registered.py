"""Codecs, and handlers of their errors, that a program has registered before it forks."""

import codecs
import multiprocessing as mp
import sys


def find(name):
    return codecs.CodecInfo(encode, None, name=name) if name == "backward" else None


def encode(text, errors="strict"):
    return text[::-1].encode(), len(text)


def stars(error):
    return "*" * (error.end - error.start), error.end


def attempt(conn):
    for encoding, errors in (("backward", "strict"), ("ascii", "stars")):
        try:
            conn.send("\xe9tude".encode(encoding, errors))
        except LookupError as error:
            conn.send(str(error))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    codecs.register(find)
    codecs.register_error("stars", stars)
    here, there = mp.Pipe()
    process = mp.Process(target=attempt, args=(there,))
    process.start()
    print(here.recv(), here.recv())
    process.join()
