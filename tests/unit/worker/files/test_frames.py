from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from transparent_mp.worker.files import frames
from transparent_mp.worker.files.functions import ours
from transparent_mp.worker.files.state import Files


def test_an_error_of_ours_shows_the_program_s_frames_only(files: Files, root: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        ours(os.listdir)(str(root / "none"))
    tb = raised.value.__traceback__
    shown = [frame.f_code.co_filename for frame, _line in frames.without_ours(traceback.walk_tb)(tb)]
    # Those of other layers are told: here is more at work than a built-in.
    assert shown[0] == __file__
    assert not any("worker/files/" in name for name in shown if name.endswith("functions.py"))
    assert len(list(traceback.walk_tb(tb))) > len(shown)
