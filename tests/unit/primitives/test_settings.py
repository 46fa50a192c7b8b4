from __future__ import annotations

import logging
import pickle
import signal
import sys
import threading
import warnings

import pytest
from inheriting import over_there

from transparent_mp.primitives import settings


def test_what_the_interpreter_is_set_to_goes_along() -> None:
    look = "import gc, socket, decimal\n"
    look += "print(sys.getrecursionlimit(), gc.isenabled(), gc.get_threshold(), socket.getdefaulttimeout(),"
    look += " decimal.getcontext().prec, sys.getswitchinterval(), sys.dont_write_bytecode)"
    set_ = (
        "import gc, socket, decimal\nsys.setrecursionlimit(1500)\ngc.disable()\ngc.set_threshold(5, 6, 7)\n"
        "socket.setdefaulttimeout(2)\ndecimal.getcontext().prec = 9\nsys.setswitchinterval(0.02)\n"
        "sys.dont_write_bytecode = True"
    )
    assert over_there(set_, look) == "1500 False (5, 6, 7) 2.0 9 0.02 True"


def test_numpy_s_state_arrives_when_numpy_does() -> None:
    pytest.importorskip("numpy")
    set_ = (
        "import numpy\nnumpy.random.seed(3)\nnumpy.set_printoptions(precision=2)\nnumpy.seterr(all='ignore')"
    )
    look = "was = 'numpy' in sys.modules\nimport numpy\n"
    look += "print(was, numpy.random.randint(10**6), numpy.array([1 / 3]), numpy.geterr()['over'])"
    import numpy as np

    expected = np.random.RandomState(3).randint(10**6)
    assert over_there(set_, look) == f"False {expected} [0.33] ignore"


def test_logging_goes_along_but_ours() -> None:
    set_ = (
        "import logging\n"
        "logging.basicConfig(level=5, stream=sys.stdout, format='%(levelname)s %(message)s')\n"
        "logging.addLevelName(5, 'TRACE')\nlogging.getLogger('a.b').setLevel(30)\n"
        "logging.getLogger('quiet').disabled = True\nlogging.disable(3)\n"
        "logging.getLogger('transparent_mp').setLevel(7)"
    )
    look = (
        "import logging\nlogging.log(5, 'told')\nlogging.getLogger('quiet').error('no')\n"
        "print(logging.getLogger('a.b').level, logging.getLogger('transparent_mp').level != 7,"
        " logging.root.manager.disable)"
    )
    assert over_there(set_, look) == "TRACE told\n30 True 3"


def test_warnings_and_signals_go_along() -> None:
    set_ = (
        "import warnings, signal\nwarnings.simplefilter('error', UserWarning)\n"
        "signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)"
    )
    look = (
        "import warnings, signal\nprint(warnings.filters[0][:3], signal.getsignal(signal.SIGUSR1) == 1,"
        " signal.getsignal(signal.SIGTERM) is signal.default_int_handler)"
    )
    assert over_there(set_, look) == "('error', None, <class 'UserWarning'>) True True"


def test_a_filter_waits_for_its_category() -> None:
    set_ = "import warnings, getpass\nclass Odd(UserWarning): pass\n"
    set_ += "getpass.Odd, Odd.__module__ = Odd, 'getpass'\nwarnings.simplefilter('error', Odd)\n"
    set_ += "warnings.simplefilter('error', getpass.GetPassWarning)"
    look = "import warnings\ndef has():\n"
    look += "  return [f[0] for f in warnings.filters if f[2].__module__ == 'getpass']\n"
    look += "print(has(), 'getpass' in sys.modules)\nimport getpass\nprint(has())"
    assert over_there(set_, look) == "[] False\n['error']"


def test_a_stream_of_the_program_s_own_goes_along() -> None:
    set_ = "import io\nsys.stderr = io.StringIO('kept')"
    assert over_there(set_, "print(sys.stderr.getvalue(), sys.stdout is sys.__stdout__)") == "kept True"


def test_asking_changes_nothing() -> None:
    before = threading.stack_size(1 << 20)
    try:
        settings.capture()
        assert threading.stack_size() == 1 << 20
    finally:
        threading.stack_size(before)


def test_what_cannot_be_sent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses(logging.Handler):
        def __reduce__(self) -> str:
            raise TypeError("not this one")

    monkeypatch.setattr(logging.root, "handlers", [Refuses()])
    captured = settings.capture()
    assert "logging" not in captured.values
    assert "recursion limit" in pickle.loads(captured.values[""])


def test_what_cannot_be_set_is_left() -> None:
    limit = sys.getrecursionlimit()
    values = {"recursion limit": "not a number", "unknown": 1}
    settings.apply({"": pickle.dumps(values), "logging": b"no pickle"})
    assert sys.getrecursionlimit() == limit


def test_filters_are_replaced_in_place() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        captured = pickle.loads(settings.capture().values[""])
        warnings.resetwarnings()
        settings.apply({"": pickle.dumps({"warnings": captured["warnings"]})})
        assert warnings.filters[0][0::2][:2] == ("error", ResourceWarning)


def test_handlers_of_ours_are_not_the_program_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def ours(*_: object) -> None:
        pass

    ours.__module__ = "transparent_mp.anything"
    before = signal.signal(signal.SIGUSR2, ours)
    try:
        found = settings._handlers()
        assert found is settings._NOTHING or int(signal.SIGUSR2) not in found
    finally:
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="there all of them are interned from the start")
def test_characters_that_are_interned_here_are_interned_there() -> None:
    # Such as no module has by itself.
    look = "import marshal\nprint([chr(marshal.dumps(one)[0] & 127) for one in map(chr, (1, 2, 3))])"
    set_ = "sys.intern(chr(1))\nsys.intern(chr(3))"
    assert over_there("", look) == "['z', 'z', 'z']"
    assert over_there(set_, look) == "['Z', 'z', 'Z']"


def test_what_cannot_be_had_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the program's with the name of one that has settings."""
    monkeypatch.setitem(sys.modules, "decimal", type(sys)("decimal"))
    monkeypatch.setitem(sys.modules, "locale", type(sys)("locale"))
    captured = pickle.loads(settings.capture().values[""])
    assert not {"decimal context", "locale"} & captured.keys()
    assert "recursion limit" in captured
