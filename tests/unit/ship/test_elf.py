from __future__ import annotations

import os
from pathlib import Path

import pytest

from transparent_mp.ship import elf


def test_a_wheel_s_libraries_come_after_those_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = pytest.importorskip("numpy")
    core = next(Path(numpy.__file__).parent.glob("_core/_multiarray_umath*.so"), None)
    if core is None or not os.path.isdir(f"{Path(numpy.__file__).parent}.libs"):
        pytest.skip("this numpy is none of a wheel for Linux")
    found = elf.bundled(str(core))
    names = list(found)
    assert names
    assert all(os.path.isfile(path) and os.path.basename(path) == name for name, path in found.items())
    for name, path in found.items():
        for needed in elf._read(path).needed:
            assert needed not in names or names.index(needed) < names.index(name)
    # The system's stay the system's.
    assert not any(name.startswith(("libc.", "libm.", "libpthread.")) for name in names)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 200, b"MZ" * 100])
def test_what_is_no_module_brings_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.so"
    path.write_bytes(content)
    assert elf.bundled(str(path)) == {}
