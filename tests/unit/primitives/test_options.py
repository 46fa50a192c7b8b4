from __future__ import annotations

import sys
import types
from typing import Any

import pytest
from inheriting import over_there

from transparent_mp.primitives import options


def test_pandas_options_arrive_when_pandas_does() -> None:
    pytest.importorskip("pandas")
    set_ = (
        "import pandas\npandas.set_option('display.max_rows', 7)\n"
        "pandas.set_option('display.float_format', '{:.1f}'.format)"
    )
    look = (
        "print('pandas' in sys.modules)\nimport pandas\n"
        "print(pandas.get_option('display.max_rows'), pandas.Series([1.25]).to_string(index=False))"
    )
    assert over_there(set_, look).split() == ["False", "7", "1.2"]


def test_matplotlib_s_parameters_arrive() -> None:
    pytest.importorskip("matplotlib")
    set_ = (
        "import matplotlib\nmatplotlib.use('svg')\nmatplotlib.rcParams['lines.linewidth'] = 5\n"
        "matplotlib.rcParams['axes.prop_cycle'] = matplotlib.cycler(color=['r', 'g'])"
    )
    look = (
        "print('matplotlib' in sys.modules)\nimport matplotlib\nparams = matplotlib.rcParams\n"
        "print(params['lines.linewidth'], params['axes.prop_cycle'].by_key(), matplotlib.get_backend())"
    )
    assert over_there(set_, look) == "False\n5.0 {'color': ['r', 'g']} svg"


def test_a_backend_that_needs_a_display_stays_at_the_client() -> None:
    matplotlib = types.SimpleNamespace(
        rcParams={"backend": "TkAgg", "lines.linewidth": 5}, rcParamsDefault={"backend": "agg"}
    )
    row = next(one for one in options.LIBRARIES if one.module == "matplotlib")
    assert row.get(matplotlib) == {"lines.linewidth": 5}


def test_torch_goes_on_drawing_where_its_parent_was() -> None:
    torch = pytest.importorskip("torch")
    set_ = "import torch\ntorch.manual_seed(1)\ntorch.rand(2)\ntorch.set_default_dtype(torch.float64)"
    look = "import torch\nprint(torch.rand(2).tolist(), torch.is_grad_enabled())\n"
    look += "print('torch._inductor' in sys.modules)"
    torch.manual_seed(1)
    torch.rand(2)
    expected = torch.rand(2, dtype=torch.float64).tolist()
    assert over_there(set_, look) == f"{expected} True\nFalse"


REGISTER = """
import gymnasium
from collections import OrderedDict
gymnasium.register(id="Mine-v3", entry_point="collections:OrderedDict", kwargs={"a": 1}, max_episode_steps=9)
gymnasium.register(id="room/Made-v0", entry_point=OrderedDict)
"""


def test_environments_that_the_program_registered_are_known_there() -> None:
    pytest.importorskip("gymnasium")
    look = (
        "print('gymnasium' in sys.modules)\nimport gymnasium\nmine = gymnasium.spec('Mine-v3')\n"
        "print(mine.kwargs, mine.max_episode_steps, gymnasium.spec('room/Made-v0').entry_point.__name__)"
    )
    assert over_there(REGISTER, look) == "False\n{'a': 1} 9 OrderedDict"


def test_what_gymnasium_registers_itself_does_not_travel() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    row = next(one for one in options.LIBRARIES if one.module == "gymnasium")
    assert row.get(gymnasium) is None


def test_a_package_of_many_environments_is_imported() -> None:
    pytest.importorskip("gymnasium")
    set_ = (
        "import gymnasium\nfor number in range(100):\n"
        "    gymnasium.register(id=f'Many{number}-v0', entry_point='this.later:Env')"
    )
    look = "import gymnasium\nprint('this' in sys.modules, 'Many7-v0' in gymnasium.registry)"
    # It is the import that registers them, where it does.
    assert over_there(set_, look).split()[-2:] == ["True", "False"]


class Foreign(types.ModuleType):
    value: Any = None


def library(set_: Any) -> options.Library:
    return options.Library("foreign_library", lambda module: module.value, set_)


def test_is_set_at_once_where_the_module_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Foreign("foreign_library")
    monkeypatch.setitem(sys.modules, "foreign_library", module)
    options.set_when_there(library(lambda module, value: setattr(module, "value", value)))(5)
    assert module.value == 5


def test_an_option_that_cannot_be_set_spoils_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_module: Any, _value: Any) -> None:
        raise KeyError("gone in this version")

    asked: list[Any] = []
    monkeypatch.setattr(options, "follow", lambda name, after: asked.append((name, after)))
    options.set_when_there(library(fails))(5)
    ((name, after),) = asked
    assert name == "foreign_library"
    after(Foreign("foreign_library"))


@pytest.mark.parametrize(("one", "other"), [(1, 2), ([1], [2]), (None, 0)])
def test_values_differ(one: Any, other: Any) -> None:
    assert options._differ(one, other)
    assert not options._differ(one, one)


def test_values_without_a_truth_differ() -> None:
    numpy = pytest.importorskip("numpy")
    assert options._differ(numpy.array([1, 2]), numpy.array([1, 2]))
