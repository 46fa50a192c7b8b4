"""Every foreign name that we change: module, name, replacement, why.

A row names the module that *defines* the name, so that whoever copies it gets ours. The replacement,
"module:attribute", is imported when that module has been executed and before anyone copies from it.
The table holds for both sides unless a row says otherwise. Imports nothing but sys: start-up reads it.

Does not apply anything: `apply` does, when `finder` says that a module is there.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` costs more modules than start-up may import
if TYPE_CHECKING:
    from typing import Literal

    Side = Literal["client", "worker"]

SIDES: tuple[Side, ...] = ("client", "worker")
WORKER: tuple[Side, ...] = ("worker",)


class Patch:
    """One row: `name` of `module` becomes what `replacement` names."""

    __slots__ = ("lazy", "module", "name", "optional", "replacement", "sides", "why", "wraps")

    def __init__(
        self,
        module: str,
        name: str,
        replacement: str,
        why: str,
        *,
        sides: tuple[Side, ...] = SIDES,
        lazy: bool = False,
        optional: bool = False,
        wraps: bool = False,
    ) -> None:
        self.module = module
        #: Dotted for an attribute of a class.
        self.name = name
        self.replacement = replacement
        self.why = why
        self.sides = sides
        #: On the client, a stand-in imports the replacement at its first call: for functions of
        #: modules that every interpreter has at start-up, which may import nothing heavy.
        self.lazy = lazy
        #: Not every version and platform has this name.
        self.optional = optional
        #: The replacement is called with the original and answers what takes its name: for names that
        #: several packages define alike, each on its own neighbours.
        self.wraps = wraps

    def __repr__(self) -> str:
        return f"Patch({self.module}.{self.name} -> {self.replacement})"


_P = "transparent_mp.primitives."
_A = _P + "adapters."


_F = "transparent_mp.worker.files."
_OF_PATHS = (
    "open stat lstat access listdir scandir mkdir rmdir unlink remove rename replace link symlink readlink "
    "truncate utime chmod chown lchown statvfs mkfifo mknod chdir umask getcwd getcwdb "
    "listxattr getxattr setxattr removexattr"
)
_OF_DESCRIPTORS = "close write pwrite ftruncate fsync fdatasync fstat dup dup2 fchdir fchmod fstatvfs"


def _files(
    module: str, names: str, why: str = "a path of the client means the client's file", of: str = ""
) -> tuple[Patch, ...]:
    """Rows for functions that take a path or the descriptor of a file, and for copies of them."""
    return tuple(
        Patch(module, of + name, _F + "functions:ours", why, sides=WORKER, wraps=True, optional=True)
        for name in names.split()
    )


def _loky(package: str) -> tuple[Patch, ...]:
    """Rows for loky, wherever it lies: joblib has a copy."""
    backend, ours = package + ".backend", _A + "loky:"
    # fmt: off
    return (
        Patch(backend + ".process", "LokyProcess._Popen", ours + "choose_popen", wraps=True,
              why="the process starts on a worker, from what loky pickles"),
        Patch(backend + ".utils", "kill_process_tree", ours + "kill_process_tree",
              "the kernel and psutil do not know a process on a worker"),
        Patch(package + ".process_executor", "_process_worker", _P + "lifetime:passing_on", sides=WORKER,
              wraps=True, why="as a pool's process"),
        Patch(package + ".process_executor", "ProcessPoolExecutor._adjust_process_count",
              _P + "burst:of_an_executor", wraps=True, why="asks for all its workers at once"),
        Patch(backend + ".synchronize", "SemLock.__init__", ours + "semlock_init",
              "our semaphores have no name to be tracked and unlinked by"),
        Patch(backend + ".synchronize", "SemLock.__getstate__", ours + "semlock_getstate",
              "a lock that is pickled moves to the store"),
        Patch(backend + ".queues", "Queue", ours + "queue", wraps=True,
              why="derives from ours and brings back the locks and the feeder, for its reducers' sake"),
        Patch(backend + ".queues", "SimpleQueue", ours + "simple_queue", wraps=True,
              why="as Queue"),
        Patch(backend + ".reduction", "_dispatch_table", ours + "reducers", wraps=True,
              why="connections and sockets would go as file descriptors"),
        Patch(backend + ".context", "_cpu_count_cgroup", ours + "cpus_of_group", wraps=True, optional=True,
              why="programs size their pools by it: the session's parallelism"),
        Patch(backend + ".context", "_count_physical_cores", ours + "physical_cores", wraps=True,
              optional=True, why="as _cpu_count_cgroup"),
    )
    # fmt: on


def _multiprocess(
    module: str, names: str, replacement: str, why: str, *, wraps: bool = False
) -> tuple[Patch, ...]:
    """Rows for names of a module of `multiprocess`, pathos' copy of the standard library's package."""
    return tuple(
        Patch("multiprocess." + module, name, _A + "multiprocess:" + replacement, why, wraps=wraps)
        for name in names.split()
    )


# fmt: off
_COPY = "a copy of what is replaced above"
_AS = "as multiprocessing's"
_MULTIPROCESS = (
    *_multiprocess("context", "get_spawning_popen set_spawning_popen assert_spawning", "same",
                   "what travels asks the standard library's", wraps=True),
    *_multiprocess("util", "Finalize register_after_fork _run_after_forkers", "same",
                   "ours register with the standard library's", wraps=True),
    *_multiprocess("util", "_finalizer_registry", "finalizers", "goes with Finalize"),
    *_multiprocess("process", "_current_process", "current_process", "one process, one authkey", wraps=True),
    *_multiprocess("reduction", "ForkingPickler._extra_reducers", "extra_reducers",
                   "what is reduced in one is in the other"),
    *_multiprocess("reduction", "send_handle recv_handle", "same", _COPY, wraps=True),
    *_multiprocess("synchronize", "SemLock Semaphore BoundedSemaphore Lock RLock Condition Event Barrier",
                   "same", _COPY, wraps=True),
    *_multiprocess("heap", "BufferWrapper", "same", _COPY, wraps=True),
    *_multiprocess("sharedctypes", "RawValue RawArray Value Array copy synchronized reduce_ctype "
                   "rebuild_ctype SynchronizedBase Synchronized SynchronizedArray SynchronizedString",
                   "same", _COPY, wraps=True),
    *_multiprocess("shared_memory", "SharedMemory ShareableList", "same", _COPY, wraps=True),
    *_multiprocess("spawn", "get_preparation_data prepare", "same", _COPY, wraps=True),
    *_multiprocess("context", "ForkProcess._Popen", "fork_popen", _AS),
    *_multiprocess("context", "SpawnProcess._Popen", "spawn_popen", _AS),
    *_multiprocess("context", "ForkServerProcess._Popen", "forkserver_popen", _AS),
    *_multiprocess("connection", "Connection", "connection_class", _AS + ", with dill", wraps=True),
    *_multiprocess("connection", "Listener", "listener_class", "as Connection", wraps=True),
    *_multiprocess("connection", "Pipe", "Pipe", "as Connection"),
    *_multiprocess("connection", "Client", "Client", "as Connection"),
    *_multiprocess("queues", "Queue JoinableQueue", "queue", "as Connection", wraps=True),
    *_multiprocess("queues", "SimpleQueue", "simple_queue", "as Connection", wraps=True),
    Patch("multiprocess.pool", "worker", _P + "lifetime:passing_on", sides=WORKER, wraps=True,
          why=_AS),
    Patch("multiprocess.pool", "Pool._get_sentinels", _P + "pool:get_sentinels", _AS),
    Patch("multiprocess.pool", "Pool._repopulate_pool", _P + "burst:of_a_pool", wraps=True,
          why=_AS),
)

TABLE: tuple[Patch, ...] = (
    Patch("_multiprocessing", "SemLock", _P + "synchronize:SemLock",
          "a POSIX semaphore ends at the machine; every lock of the library stands on this one"),
    Patch("_multiprocessing", "sem_unlink", _P + "synchronize:sem_unlink",
          "goes with SemLock, whose names are ours"),
    Patch("multiprocessing.synchronize", "SemLock.__getstate__", _P + "synchronize:getstate",
          "locks of a fork context refuse to be pickled, but here they travel by value"),
    Patch("multiprocessing.synchronize", "Condition", _P + "condition:Condition",
          "CPython's counts by three semaphores, a round trip each"),
    Patch("multiprocessing.synchronize", "Event", _P + "event:Event",
          "as Condition, on which CPython's stands"),
    Patch("multiprocessing.synchronize", "Barrier", _P + "barrier:Barrier",
          "as Condition, with a count in shared memory"),

    Patch("multiprocessing.connection", "Connection", _P + "connection:Connection",
          "an end that goes to another process reads and writes the store"),
    Patch("multiprocessing.connection", "Pipe", _P + "connection:Pipe",
          "its ends can move to the store when they are first shared"),
    Patch("multiprocessing.connection", "wait", _P + "waiting:wait",
          "an fd of the store's is readable as well when its connection is lost"),
    Patch("multiprocessing.connection", "Listener", _P + "listener:Listener",
          "an address of this machine cannot be dialled from a worker"),
    Patch("multiprocessing.connection", "XmlListener", _P + "listener:XmlListener",
          "derives from Listener before that is replaced"),
    Patch("multiprocessing.connection", "Client", _P + "listener:Client",
          "dials the listeners that listen in the store"),

    Patch("multiprocessing.reduction", "send_handle", _P + "descriptors:send_handle", wraps=True,
          why="a descriptor sent to another machine would never come, and its receiver wait for ever"),
    Patch("multiprocessing.reduction", "recv_handle", _P + "descriptors:recv_handle", wraps=True,
          why="as send_handle"),

    Patch("multiprocessing.queues", "Queue", _P + "queues:Queue",
          "a list of the store needs neither pipe nor lock nor feeder thread"),
    Patch("multiprocessing.queues", "JoinableQueue", _P + "queues:JoinableQueue",
          "as Queue, with its count of unfinished tasks"),
    Patch("multiprocessing.queues", "SimpleQueue", _P + "queues:SimpleQueue",
          "as Queue: the pop is atomic, so no lock is needed"),

    Patch("multiprocessing.heap", "BufferWrapper", _P + "heap:BufferWrapper",
          "memory of Value and Array is a replica of a segment, not a mapping"),

    Patch("multiprocessing.sharedctypes", "Synchronized", _P + "sharedctypes:Synchronized",
          "what is read and written under its own lock only rides on that lock"),
    Patch("multiprocessing.sharedctypes", "SynchronizedArray", _P + "sharedctypes:SynchronizedArray",
          "as Synchronized"),
    Patch("multiprocessing.sharedctypes", "SynchronizedString", _P + "sharedctypes:SynchronizedString",
          "as Synchronized"),
    Patch("multiprocessing.sharedctypes", "Value", _P + "sharedctypes:Value",
          "knows that nothing but the wrapper reaches the data"),
    Patch("multiprocessing.sharedctypes", "Array", _P + "sharedctypes:Array",
          "as Value"),

    Patch("multiprocessing.shared_memory", "_posixshmem", _P + "posixshmem:Leaf", optional=True,
          why="a name means the same to every process of the session, whatever machine it is on"),
    Patch("multiprocessing.shared_memory", "SharedMemory.__init__", _P + "shared_memory:init", wraps=True,
          why="says which mapping is of which segment"),
    Patch("multiprocessing.shared_memory", "SharedMemory.name", _P + "shared_memory:name", wraps=True,
          why="a segment that nobody can know the name of needs no session"),
    Patch("multiprocessing.shared_memory", "SharedMemory.buf", _P + "shared_memory:buf", wraps=True,
          why="contents travel when they are first looked at"),
    Patch("multiprocessing.shared_memory", "SharedMemory.__reduce__", _P + "shared_memory:reduce",
          wraps=True, why="a fork inherits the mapping, even of a name that is gone"),
    Patch("multiprocessing.resource_tracker", "register", _P + "posixshmem:register", wraps=True,
          why="only files of this machine are its tracker's to remove"),
    Patch("multiprocessing.resource_tracker", "unregister", _P + "posixshmem:unregister", wraps=True,
          why="as register"),

    Patch("multiprocessing.util", "Finalize.__call__", _P + "finalizers:elsewhere", wraps=True,
          why="run by the collector in a thread of ours, it would wait for that thread"),
    Patch("multiprocessing.pool", "worker", _P + "lifetime:passing_on", sides=WORKER, wraps=True,
          why="a pool's process outlives its worker: between tasks it goes on elsewhere"),
    Patch("concurrent.futures.process", "_process_worker", _P + "lifetime:passing_on", sides=WORKER,
          wraps=True, why="as a pool's"),

    Patch("multiprocessing.pool", "Pool._setup_queues", _P + "pool:setup_queues",
          "tasks are taken so that none is lost with a process, and several at a time when they are short"),
    Patch("multiprocessing.pool", "Pool._get_sentinels", _P + "pool:get_sentinels",
          "there is no fd of the results to wait on; and calls become ours, so that bursts go together"),
    Patch("multiprocessing.pool", "Pool.apply", _P + "pool:apply", wraps=True,
          why="its caller reads the result itself: to be woken by another thread costs as much as a trip"),
    Patch("multiprocessing.pool", "Pool._join_exited_workers", _P + "pool:join_exited_workers", wraps=True,
          why="what a dead process had taken is run by another, or its result says what has happened"),
    Patch("multiprocessing.pool", "Pool._help_stuff_finish", _P + "pool:help_stuff_finish", wraps=True,
          why="reads the pipe that our queue of tasks is not"),
    Patch("multiprocessing.pool", "Pool._get_tasks", _P + "pool:get_tasks", wraps=True,
          why="says whether the next task is at hand"),
    Patch("multiprocessing.pool", "Pool._guarded_task_generation", _P + "pool:guarded_task_generation",
          wraps=True, why="as Pool._get_tasks"),

    Patch("multiprocessing.pool", "Pool._repopulate_pool", _P + "burst:of_a_pool", wraps=True,
          why="asks for all its workers at once; its processes inherit one and the same memory"),
    Patch("concurrent.futures.process", "ProcessPoolExecutor.__init__", _P + "executor:init", wraps=True,
          why="its queues are a pool's: a semaphore for each call would be a round trip"),
    Patch("concurrent.futures.process", "ProcessPoolExecutor.submit", _P + "submitting:submit", wraps=True,
          why="its caller puts the call itself: to wake another thread costs as much as a trip"),
    Patch("concurrent.futures.process", "_ExecutorManagerThread.wait_result_broken_or_wakeup",
          _P + "executor:wait_result", wraps=True, why="results that have come need no waiting for"),
    Patch("concurrent.futures.process", "ProcessPoolExecutor._launch_processes",
          _P + "burst:of_an_executor", wraps=True, optional=True, why="as Pool._repopulate_pool"),

    # The popen modules stay as they are: they start managers' servers.
    Patch("multiprocessing.context", "ForkProcess._Popen", _P + "context:fork_popen",
          "the process starts on a worker, from what was in memory"),
    Patch("multiprocessing.context", "SpawnProcess._Popen", _P + "context:spawn_popen",
          "the process starts on a worker, from what is pickled"),
    Patch("multiprocessing.context", "ForkServerProcess._Popen", _P + "context:forkserver_popen",
          "the process starts on a worker, which is a fork server already"),

    Patch("multiprocessing.spawn", "get_preparation_data", _P + "spawn:get_preparation_data",
          "says what a worker needs to know of the client to stand in for it"),
    Patch("multiprocessing.spawn", "prepare", _P + "spawn:prepare",
          "a worker has no file of the main module to run again"),

    Patch("_thread", "_count", "transparent_mp.background:count", lazy=True,
          why="a program that looks for threads it forgot finds its own only"),
    Patch("threading", "enumerate", "transparent_mp.background:listed", "as _thread._count"),
    Patch("threading", "active_count", "transparent_mp.background:active", "as _thread._count"),

    *((Patch("os", "fork", "transparent_mp.background:fork", lazy=True,
             why="warns of threads, from Python 3.12, and shall not of ours"),)
      if sys.version_info >= (3, 12) else ()),

    Patch("os", "kill", _P + "pids:kill", lazy=True,
          why="the pid of a process on a worker means nothing to this kernel"),
    Patch("os", "getpid", _P + "pids:getpid", sides=WORKER,
          why="a process's pid is its Process.pid, unique in the session"),
    Patch("os", "getppid", _P + "pids:getppid", sides=WORKER,
          why="the parent is the process that called start(), not the supervisor"),
    Patch("posix", "getpid", _P + "pids:getpid", sides=WORKER, optional=True,
          why="a function of os is pickled by this name"),
    Patch("posix", "getppid", _P + "pids:getppid", sides=WORKER, optional=True, why="as posix.getpid"),
    Patch("os", "cpu_count", _P + "pids:cpu_count", lazy=True,
          why="programs size their pools by it: the session's parallelism"),
    Patch("os", "process_cpu_count", _P + "pids:process_cpu_count", lazy=True, optional=True,
          why="as cpu_count, from Python 3.13"),
    Patch("os", "sched_getaffinity", _P + "pids:sched_getaffinity", lazy=True, optional=True,
          why="as cpu_count, for programs that mind containers; not on every platform"),

    *_files("builtins", "open"),
    *_files("io", "open open_code"),
    Patch("io", "FileIO", _F + "raw:file_io", sides=WORKER, wraps=True, why="opens files by their paths"),
    *_files("os", _OF_PATHS),
    *_files("os", _OF_DESCRIPTORS, "a descriptor of the client's file is that of a copy"),
    # After importlib has its own, so that what it finds by itself stays this machine's.
    Patch("_frozen_importlib_external", "_os", _F + "imports:pristine", sides=WORKER, wraps=True,
          why="looks for modules on sys.path by what is replaced in posix"),
    *_files("posix", _OF_PATHS, "a function of os is pickled by this name"),
    *_files("posix", _OF_DESCRIPTORS, "as those of paths"),
    *_files("posixpath", "realpath"),
    *_files("fcntl", "flock lockf", "a lock of a client's file is taken at the client"),
    *_files("tokenize", "_builtin_open", "copies open"),
    *_files("bz2", "_builtin_open", "copies open"),
    *_files("tarfile", "bltn_open", "copies open"),
    *(Patch("tempfile", "_TemporaryFileCloser." + name, _F + "functions:defaults", sides=WORKER, wraps=True,
            optional=True, why="has a copy of os.unlink in its defaults")
      for name in ("close", "cleanup")),
    *_files("pathlib", "stat lstat open listdir scandir chmod mkdir unlink link link_to rmdir rename replace "
                       "symlink utime readlink realpath getcwd",
            "copies the functions of os, up to Python 3.10", of="_NormalAccessor."),
    *_files("glob", "lstat scandir", "copies those of os, in Python 3.13", of="_StringGlobber."),

    *(Patch("_frozen_importlib_external", name, _F + "imports:" + ours, sides=WORKER, wraps=True,
            why="a module's file that it is told of, or that py_compile writes, may be the client's")
      for name, ours in (
          ("FileLoader.get_data", "get_data"), ("SourceFileLoader.path_stats", "path_stats"),
          ("SourceFileLoader.set_data", "set_data"), ("_write_atomic", "write_atomic"),
          ("_calc_mode", "calc_mode"))),
    *(Patch("traceback", name, _F + "frames:without_ours", sides=WORKER, wraps=True, optional=True,
            why="an error of open() has no frame of open()")
      for name in ("walk_tb", "_walk_tb_with_full_positions")),
    Patch("mmap", "mmap", _F + "mapping:mapping", sides=WORKER, wraps=True,
          why="what is written to a mapping of the client's file goes there"),
    Patch("ctypes", "_dlopen", _F + "natives:dlopen", sides=WORKER, wraps=True,
          why="opens a library by its path, in C"),
    Patch("_sqlite3", "connect", _F + "natives:connect", sides=WORKER, wraps=True,
          why="opens a database by its path, in C"),

    Patch("subprocess", "Popen._execute_child", _F + "natives:execute_child", sides=WORKER, wraps=True,
          why="a command is told of paths of the client, where it cannot look"),
    Patch("subprocess", "Popen._handle_exitstatus", _F + "natives:handle_exitstatus", sides=WORKER,
          wraps=True, why="what a command has made is the client's when its end is known"),
    Patch("asyncio.base_subprocess", "BaseSubprocessTransport._process_exited", _F + "natives:process_exited",
          sides=WORKER, wraps=True, why="as Popen._handle_exitstatus"),
    Patch("os", "system", _F + "natives:system", sides=WORKER, wraps=True, why="as subprocess.Popen"),
    *(Patch(module, name, _F + "arrow:" + ours, sides=WORKER, wraps=True, optional=True,
            why="opens files by their paths, in C++")
      for module, name, ours in (("pyarrow.fs", "LocalFileSystem", "local_file_system"),
                                 ("pyarrow.fs", "_ensure_filesystem", "ensuring"),
                                 ("pyarrow.fs", "_resolve_filesystem_and_path", "resolving"))),
    *(Patch(module, name, _F + "arrow:reading", sides=WORKER, wraps=True, optional=True, why="as pyarrow.fs")
      for module, name in (("pyarrow._csv", "read_csv"), ("pyarrow._csv", "open_csv"),
                           ("pyarrow._json", "read_json"), ("pyarrow._json", "open_json"),
                           ("pyarrow._feather", "FeatherReader"))),
    *(Patch("pyarrow.lib", name, _F + "arrow:" + ours, sides=WORKER, wraps=True, why="as pyarrow.fs")
      for name, ours in (("memory_map", "memory_map"), ("OSFile", "os_file"))),
    Patch("h5py._hl.files", "File.__init__", _F + "hdf5:file_init", sides=WORKER, wraps=True,
          why="opens files by their paths, in C"),

    Patch("importlib._common", "fallback_resources", "transparent_mp.worker.importer:fallback_resources",
          sides=WORKER, wraps=True, optional=True, why="Python 3.9 takes a package's files to be beside it"),

    *_MULTIPROCESS,

    Patch("dill._dill", "_create_function", _A + "dill:create_function", sides=WORKER, wraps=True,
          why="makes functions over the globals of __main__, which may be still to come"),
    Patch("billiard._ext", "_billiard", _A + "billiard:leaf", wraps=True,
          why="forks beside its parent, over descriptors, and so with the kernel's semaphores"),

    *_loky("loky"),
    *_loky("joblib.externals.loky"),

    Patch("joblib._memmapping_reducer", "ArrayMemmapForwardReducer.__call__", _A + "joblib:forward",
          "a large array would go as the path of a file that the worker does not have"),
    Patch("joblib._memmapping_reducer", "reduce_array_memmap_backward", _A + "joblib:backward",
          "a result would come as the path of a file of the worker"),

    Patch("torch.multiprocessing.reductions", "reduce_storage", _A + "torch:reduce_storage", wraps=True,
          why="a storage would go as a file descriptor"),
    Patch("torch.multiprocessing.reductions", "reduce_tensor", _A + "torch:reduce_tensor", wraps=True,
          why="a CUDA tensor would go as a handle of this machine's GPU"),
    # Torch 2.15 gave it the second name.
    *(Patch("torch.multiprocessing.reductions", name, _A + "torch:reduce_event", optional=True,
            why="as a CUDA tensor") for name in ("reduce_event", "_reduce_event")),
    Patch("torch.storage", "UntypedStorage._new_shared", _A + "torch:new_shared",
          "batches made in shared memory go by value, and workers may have no shared memory"),
    Patch("torch.storage", "UntypedStorage.share_memory_", _A + "torch:share_memory", wraps=True,
          why="what is shared with processes on workers becomes a segment"),

    Patch("psutil", "Process._init", _A + "psutil:process_init", wraps=True,
          why="asks the kernel about a pid that is the session's"),
    Patch("psutil", "Process.cpu_affinity", _A + "psutil:cpu_affinity", wraps=True, optional=True,
          why="as os.sched_getaffinity"),
    Patch("psutil", "cpu_count", _A + "psutil:cpu_count", wraps=True,
          why="as os.cpu_count"),
)
# fmt: on
