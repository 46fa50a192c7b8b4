from __future__ import annotations

import errno
import os
import socket
from multiprocessing import connection
from types import SimpleNamespace

import pytest

from transparent_mp.originals import original
from transparent_mp.primitives import descriptors

LIBRARY = "multiprocessing.reduction"
send = descriptors.send_handle(original(LIBRARY, "send_handle"))
receive = descriptors.recv_handle(original(LIBRARY, "recv_handle"))


def test_a_descriptor_goes_over_a_local_socket():
    left, right = (connection.Connection(end.detach()) for end in socket.socketpair())
    with left, right, open(os.devnull) as file:
        send(left, file.fileno(), None)
        came = receive(right)
        assert os.path.sameopenfile(came, file.fileno())
        os.close(came)


def test_both_ends_of_a_shared_connection_refuse():
    shared = SimpleNamespace(shared=True, fileno=lambda: pytest.fail("it was used"))
    for attempt in (lambda: send(shared, 7, 1), lambda: receive(shared)):
        with pytest.raises(OSError, match="cannot travel to another machine: pass a path") as caught:
            attempt()
        assert caught.value.errno == errno.EOPNOTSUPP
