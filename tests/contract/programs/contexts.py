"""Start methods and contexts: set, forced, asked for by name, mixed."""

import multiprocessing as mp
import multiprocessing.context
import sys


def tell(queue, *things):
    queue.put((mp.get_start_method(allow_none=True), type(mp.current_process()).__name__, *things))


def force(queue, method):
    try:
        mp.set_start_method(method)
    except RuntimeError as error:
        queue.put(str(error))
    mp.set_start_method(method, force=True)
    child = mp.Process(target=tell, args=(queue, "grandchild"))
    child.start()
    child.join()


def from_context(context):
    queue = context.Queue()
    process = context.Process(target=tell, args=(queue, "context"))
    process.start()
    print(
        context.get_start_method(),
        type(process).__name__,
        queue.get(),
        type(context.Lock()._semlock).__name__,
    )
    process.join()
    with context.Pool(1) as pool:
        print(pool.apply(mp.get_start_method), type(pool._pool[0]).__name__)


def before_any_is_set():
    print(mp.get_start_method(allow_none=True), mp.get_all_start_methods())
    for wrong in (lambda: mp.get_context("no such"), lambda: mp.set_start_method("no such")):
        try:
            wrong()
        except ValueError as error:
            print(error)
    for name in mp.get_all_start_methods():
        context = mp.get_context(name)
        print(name, type(context).__name__, context.get_context() is context, mp.get_context(name) is context)
        try:
            context.set_start_method("spawn")
        except ValueError as error:
            print(error)


def mixed(method):
    """A lock of fork's goes to fork's processes only."""
    other = "spawn" if method == "fork" else "fork"
    for made, used in ((method, other), (other, method)):
        lock = mp.get_context(made).Lock()
        process = mp.get_context(used).Process(target=print, args=(lock,))
        try:
            process.start()
        except RuntimeError as error:
            print(made, used, error)
        else:
            process.join()
            print(made, used, process.exitcode)


class Own(mp.get_context("spawn").Process):
    def __init__(self, queue):
        super().__init__(name="own")
        self.queue = queue

    def run(self):
        tell(self.queue, self.name)


def main(method):
    before_any_is_set()
    mp.set_start_method(method)
    print(mp.get_start_method(), mp.get_context().get_start_method())
    for again in (method, "spawn"):
        try:
            mp.set_start_method(again)
        except RuntimeError as error:
            print(error)
    queue = mp.Queue()
    process = mp.Process(target=tell, args=(queue,))
    process.start()
    print(queue.get(), type(process).__name__)
    process.join()
    for name in ("fork", "spawn"):
        from_context(mp.get_context(name))
    queue = mp.get_context("spawn").Queue()
    process = Own(queue)
    process.start()
    print(queue.get())
    process.join()
    process = mp.Process(target=force, args=(queue, "spawn"))
    process.start()
    print(queue.get(), queue.get())
    process.join()
    mp.set_start_method("forkserver", force=True)
    print(mp.get_start_method())
    process = mp.Process(target=tell, args=(queue, "forced"))
    process.start()
    print(queue.get(), type(process).__name__)
    process.join()
    mp.set_start_method(None, force=True)
    print(mp.get_start_method(allow_none=True))
    mp.set_start_method(method)


if __name__ == "__main__":
    mp.freeze_support()
    mp.set_executable(sys.executable)
    mp.set_forkserver_preload(["json"])
    main(sys.argv[1])
    mixed(sys.argv[1])
