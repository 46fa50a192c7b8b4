from __future__ import annotations

import os
import sys

import pytest

import transparent_mp
from transparent_mp.worker.files.places import SYSTEM, Places, own_places


@pytest.mark.parametrize(
    ("path", "clients"),
    [
        ("/home/me", True),
        ("/home/me/", True),
        ("/home/me/data/x.csv", True),
        ("/home/me//data", True),
        ("/home/me/../me/x", True),
        ("/home/meager", False),
        ("/home", False),
        ("/", False),
        ("/home/me/../you", False),
        ("/tmp/x", True),
        ("/tmp/own/x", False),
        ("/usr/lib/x", False),
        ("/usr/src/app/x", True),
        ("/home/me/python/lib", False),
        ("/dev/shm/x", True),
        ("/dev/null", False),
    ],
)
def test_the_longest_known_directory_decides(path: str, clients: bool) -> None:
    roots = ["/home/me", "/tmp", "/usr/src/app", "/dev/shm/"]
    places = Places(roots, [*SYSTEM, "/tmp/own", "/home/me/python"])
    assert places.is_clients(path) is clients


def test_what_lies_in_no_known_directory_is_nobody_s_in_particular() -> None:
    places = Places(["/home/me"], [*SYSTEM, "/home/me/python"])
    assert places.is_own("/usr/lib/x")
    assert places.is_own("/home/me/python/lib")
    assert not places.is_own("/home/me/data")
    assert not places.is_own("/home")
    assert not places.is_own("/data")


def test_what_is_a_root_and_a_machine_s_own_is_the_machine_s() -> None:
    places = Places(["/usr"], ["/usr"])
    assert not places.is_clients("/usr/lib")


def test_a_root_may_be_everything_but_what_machines_have() -> None:
    places = Places(["/"], SYSTEM)
    assert places.is_clients("/data/x")
    assert places.is_clients("/")
    assert not places.is_clients("/etc/passwd")


def test_above_a_root_is_every_directory_on_the_way_to_it() -> None:
    places = Places(["/home/me/project"], [])
    assert [
        path for path in ("/", "/home", "/home/me", "/home/me/project", "/etc") if places.is_above(path)
    ] == [
        "/",
        "/home",
        "/home/me",
    ]


def test_the_interpreter_and_this_package_are_the_machine_s_wherever_they_lie() -> None:
    places = Places(["/"], own_places(["/tmp/scratch"]))
    for path in (sys.prefix, os.__file__, transparent_mp.__file__, "/tmp/scratch/copy", "/proc/self/status"):
        assert not places.is_clients(path), path
