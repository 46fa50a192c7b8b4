"""What a dead process had sent: the server reads it to its end before anybody is told of that end.

    process     makes a link          sends a copy of its socket to its supervisor (`Running.hold`)
    kernel      ends the process      the connection stays, for there is the copy
    supervisor  sees that             closes the sending side (`read_out`)
    server      reads what is there, answers it, finds the end, closes its side
    supervisor  reads to that end     all that the process had sent has been done

Without the copy the kernel resets the connection, for nobody will read the answers that are there; the
server notices as it writes the next ones, and drops what it has not read.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Sequence

#: Seconds for a server to read what is there. Shorter and a busy server loses it; longer and the exit of a
#: process whose machine is cut off is told later.
PATIENCE = 5.0

#: One read of answers that nobody wants any more.
READ = 1024 * 1024


def read_out(links: Sequence[socket.socket], patience: float = PATIENCE) -> None:
    """Wait until the server has read all that was sent on these connections, and has closed them."""
    poll, left = select.poll(), {}
    for link in links:
        # One that is at its end already, or that the process has closed itself.
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_WR)
        poll.register(link, select.POLLIN)
        left[link.fileno()] = link
    deadline = time.monotonic() + patience
    while left and (rest := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            try:
                ended = not left[fd].recv(READ)
            except OSError:
                ended = True
            if ended:
                poll.unregister(fd)
                del left[fd]
    for link in links:
        link.close()
