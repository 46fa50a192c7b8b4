"""The client's files as a process on a worker finds them: under their own paths, by their own names.

    places      what a path means: the client's file, or this machine's own
    remote      what is asked of the client, and the errors that come back
    copies      the files this worker has read, each version once, shared by its processes
    handles     open files: each is a local copy with a real descriptor, written through to the client
    table       which descriptor is which open file
    opening     open() and os.open()
    functions   the names of os that take a path or a descriptor
    entries     what scandir, listdir and stat answer
    paths       what each of those on a path does for the client's
    imports, mapping, natives, databases
                those who open files without asking for open(): importlib, mmap, ctypes, sqlite3
    frames      errors without frames of ours
    state       the parts of one process, put together when it begins

Close-to-open consistency: what a process has closed is seen by whoever opens next, here, at the client
and on other workers. What it writes through Python's file objects and os.write is sent as it is written,
in order, and not waited for; what reaches a descriptor by another way (a mapping, C code) is found and
sent at flush of a mapping, fsync and close. So a process that is killed leaves what it has written so far.

Nothing of this is active where the worker sees the client's own file system.
"""
