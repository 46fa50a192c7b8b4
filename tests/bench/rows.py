"""What is measured, in which unit, and what must come of it: the table of issue and docs.

The measuring itself is in `of_locks` and its like, by the same names. Imports nothing that is measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The bound of a row: `factor` times what `of` measures in the same run.

    `of`: "r" the raw round trip, "fork" or "spawn" plain Python's, "" a number by itself. A time must
    be at most that, a rate at least.
    """

    factor: float
    of: str = ""
    #: With --latency, instead of `factor`.
    far: float | None = None
    #: So many raw round trips beside.
    trips: int = 0

    def at(self, latency: float) -> Target:
        """What holds at that distance of the store."""
        return self if self.far is None or not latency else Target(self.far, self.of, trips=self.trips)

    def __str__(self) -> str:
        if self.trips:
            return f"{self.factor:g} {self.of} + {self.trips} r"
        if self.of == "r":
            return f"{self.factor:g} r"
        if self.of:
            return self.of if self.factor == 1 else f"{self.factor:g} {self.of}"
        return f"{self.factor:g}"


@dataclass(frozen=True)
class Row:
    """One measured operation."""

    name: str
    what: str
    unit: str = "ms"
    target: Target | None = None
    #: Round trips waited for, as DESIGN.md's table has them; shown beside the ratio.
    trips: str = ""

    @property
    def is_time(self) -> bool:
        return self.unit == "ms"


R2, R25, R5, R6 = (Target(factor, "r") for factor in (2, 2.5, 5, 6))
FORK, SPAWN = Target(1, "fork"), Target(1, "spawn")
SECTION, PROGRAM = Target(2, "fork", trips=2), Target(1.5, "fork", far=3)

ROWS: tuple[Row, ...] = (
    Row("lock", "lock acquire + release", target=R2, trips="1+0"),
    Row("semaphore", "semaphore acquire + release", trips="1+0"),
    Row("rlock", "rlock acquire + release", trips="1+0"),
    Row("value_locked", "with v.get_lock(): v.value += 1", target=R25, trips="1"),
    Row("value_contended", "the same in two processes, each", trips="1"),
    Row("rawvalue", "rawvalue.value += 1"),
    Row("array_item", "a[3] = a[4] + 1", trips="2"),
    Row("array_slice", "a[:] of 1,000", trips="1"),
    Row("array_section", "with a.get_lock(): 100 of its elements += 1", trips="1"),
    Row("array_write", "the same, 1,000 elements written", target=SECTION, trips="1"),
    Row("array_read", "the same, 1,000 elements read", target=SECTION, trips="1"),
    Row("env_shmem", "step of 2 environments, 6,000 rounds, ShmemVecEnv", target=PROGRAM, trips="1"),
    Row("env_atari", "the same, 1 ms of CPU and 84 x 84 x 4 bytes each", target=PROGRAM, trips="1"),
    Row("env_1ms", "step of 2, 1 ms of CPU each, gymnasium", target=PROGRAM, trips="1"),
    Row("env_4ms", "step of 2, 4 ms of CPU each, gymnasium", target=PROGRAM, trips="1"),
    Row("env_acrobot", "step of 2 Acrobots, gymnasium", trips="1"),
    Row("env_cartpole", "step of 2 CartPoles, gymnasium", trips="1"),
    Row("env_cartpoles", "step of 8 CartPoles, gymnasium", trips="1"),
    Row("stencil_loops", "Jacobi sweep of 96 x 96, cell by cell, 2 procs", target=PROGRAM, trips="1"),
    Row("stencil_middle", "Jacobi sweep of 256 x 256, cell by cell, 2", target=PROGRAM, trips="1"),
    Row("stencil_dense", "Jacobi sweep of 512 x 512, numpy, 2 processes", trips="1"),
    Row("wide_loops", "Jacobi sweep of 2,000 x 1,000, cell by cell, 2", target=PROGRAM, trips="1"),
    Row("wide_dense", "Jacobi sweep of 2,000 x 1,000, numpy, 2", trips="1"),
    Row("large_sparse", "64 MB array, a byte in each 100th page changed", trips="1"),
    Row("large_scan", "memcmp of 64 MB"),
    Row("huge_array", "Array of 1 GB, made, not sent", target=FORK),
    Row("huge_shm", "SharedMemory of 1 GB, made, not sent", target=FORK),
    Row("queue", "queue put + get, one process", target=R25, trips="0+1"),
    Row("queue_bounded", "the same, bounded", trips="0+1"),
    Row("queue_joinable", "joinable queue put + get + task_done", trips="0+1+0"),
    Row("simplequeue", "simple queue put + get, one process", trips="0+1"),
    Row("queue_echo", "queue there and back", trips="0+1"),
    Row("pipe_echo", "pipe echo, 100 B", target=R5, trips="0+1"),
    Row("pipe_echo_wait", "pipe echo, 100 B, with connection.wait", trips="0+1"),
    Row("event_set", "event set", trips="0"),
    Row("event_is_set", "event is_set", trips="1"),
    Row("event_wait", "event wait, when set", trips="1"),
    Row("event_pingpong", "two events there and back"),
    Row("condition_pingpong", "condition wait and notify, there and back", trips="2+0"),
    Row("barrier", "barrier wait, two processes", trips="1"),
    Row("manager_set", "manager dict set", target=R5, trips="2"),
    Row("manager_get", "manager dict get", target=R5, trips="2"),
    Row("manager_get_remote", "manager dict get, in a process", trips="2"),
    Row("manager_value", "manager value += 1", trips="4"),
    Row("manager_lock", "manager lock acquire + release", trips="4"),
    Row("manager_queue", "manager queue put + get", trips="4"),
    Row("manager_start", "manager start and first object"),
    Row("pool_apply", "Pool.apply", target=R6),
    Row("executor_result", "executor submit + result"),
    Row("process_start", "Process.start, warm", trips="1"),
    Row("process", "Process start + join, warm", target=Target(2, "fork")),
    Row("process_x8", "8 of them at once"),
    Row("pool_first", "Pool(2), first result, warm", target=SPAWN),
    Row("pool_life", "Pool(2), one map, close, join"),
    Row("executor_first", "executor of 2, first result, warm"),
    Row("local_open", "open and close a local file, at the client", target=Target(1.1, "fork")),
    Row("local_stat", "os.stat of it", target=Target(1.1, "fork")),
    Row("cold", "a program that runs one process, whole"),
    Row("shm_8MB", "shared memory: make, fill, unlink 8 MB"),
    Row("map_1000", "map of 1,000 no-ops, chunksize 1", "/s", FORK),
    Row("map_10000", "map of 10,000 no-ops", "/s"),
    Row("imap_1000", "imap_unordered of 1,000 no-ops", "/s"),
    Row("executor_1000", "executor map of 1,000 no-ops", "/s", FORK),
    Row("executor_completed", "as_completed of 1,000 no-ops", "/s"),
    Row("queue_stream", "queue, child to parent", "/s"),
    Row("pipe_1MB", "pipe, 1 MB messages", "MB/s", Target(400)),
    Row("map_arrays", "map over 8 x 8 MB arrays, in and out", "MB/s", SPAWN),
    Row("executor_arrays", "executor map over the same", "MB/s"),
)

BY_NAME = {row.name: row for row in ROWS}
