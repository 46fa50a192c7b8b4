"""Python's multiprocessing without bounds: processes on other machines, Redis in between.

A map of the system, from the outside in (imports run downward only):

    cli, sitecustomize   the doors: commands, and what an interpreter runs at start-up
    intercept            the only place that changes other people's modules: finder, patch table
    worker               what runs on the other side: supervisor, child, module importer
    primitives           what multiprocessing's leaves become: process, connection, lock, queue, ...
    ship                 what the client serves to workers: events, modules, output
    launch               how a worker comes to exist
    store                the only importer of redis: links, keys, scripts, leases, sessions
    config, errors       every setting, every exception

`docs/architecture.md` tells the story; importing this package imports none of the above.
"""

__version__ = "0.1.0"
