"""What a program's own code is over there, however the program was started."""

import inspect
import multiprocessing as mp
import sys
import traceback

import stock.parts


class Thing:
    def method(self):
        return 1


def see(number):
    main = sys.modules["__main__"]
    try:
        stock.parts.fail(number)
    except ZeroDivisionError:
        trace = traceback.format_exc()
    spec = getattr(main, "__spec__", None)
    return [
        __name__,
        main.__name__,
        spec and spec.name,
        inspect.getsource(see).splitlines()[0],
        inspect.getsource(Thing.method),
        inspect.getsource(stock.parts.name),
        inspect.getsourcefile(see) == main.__file__,
        inspect.getmodule(see) is main,
        stock.parts.name(),
        trace,
    ]


def boom(number):
    return 1 / number


if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        for line in pool.apply(see, (0,)):
            print(line)
        try:
            pool.apply(boom, (0,))
        except ZeroDivisionError as error:
            print(error.__cause__)
    sys.stdout.flush()
    process = context.Process(target=boom, args=(0,))
    process.start()
    process.join()
    print(process.exitcode)
