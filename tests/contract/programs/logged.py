"""The logger of multiprocessing, here and in processes."""

import logging
import multiprocessing as mp
import sys
from multiprocessing import util


def speak(level):
    logger = mp.get_logger()
    print(
        logger.name, logger.level, logger.getEffectiveLevel(), [type(one).__name__ for one in logger.handlers]
    )
    logger.log(level, "from a process")
    logger.debug("too fine")
    util.info("by util.info")
    util.sub_warning("by util.sub_warning")
    sys.stdout.flush()


def run(target, *args):
    process = mp.Process(target=target, args=args, name="speaker")
    process.start()
    process.join()
    print("joined", process.exitcode, flush=True)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    # Without a level, nothing of multiprocessing's own is said.
    run(speak, logging.ERROR)
    logger = mp.get_logger()
    print(logger is mp.get_logger(), logger.propagate, logger.handlers)
    handled = mp.log_to_stderr(logging.WARNING)
    print(handled is logger, handled.level)
    logger.warning("at the client")
    run(speak, logging.WARNING)
    logger.setLevel(logging.ERROR)
    run(speak, logging.WARNING)
    run(speak, logging.ERROR)
    with mp.Pool(1) as pool:
        pool.apply(speak, (logging.CRITICAL,))
    # What multiprocessing itself says of a process names its numbers; of a pool, its steps.
    util.log_to_stderr(logging.INFO)
    print([type(handler).__name__ for handler in logger.handlers])
