from __future__ import annotations

from pathlib import Path

import pytest

from transparent_mp.errors import DeployError
from transparent_mp.launch.deployment import image, packages
from transparent_mp.launch.deployment.wanted import HANDLER, Platform

PLATFORM = Platform("3.12", "arm64")


def test_a_directory_holds_all_that_a_build_needs(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    image.write(folder, PLATFORM, ["numpy"])
    dockerfile = (folder / "Dockerfile").read_text()
    assert dockerfile.startswith("FROM amazon/aws-lambda-python:3.12\n")
    assert f'CMD ["{HANDLER}"]' in dockerfile
    assert (folder / "requirements.txt").read_text().split() == [*packages.needed(), "numpy"]
    assert (folder / "transparent_mp" / "store" / "lua" / "submit.lua").exists()


def test_written_again_it_holds_what_is_there_now(tmp_path: Path) -> None:
    image.write(tmp_path, PLATFORM, ["numpy"])
    (tmp_path / "transparent_mp" / "gone.py").touch()
    image.write(tmp_path, PLATFORM, [])
    assert not (tmp_path / "transparent_mp" / "gone.py").exists()
    assert "numpy" not in (tmp_path / "requirements.txt").read_text()


def test_another_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DeployError, match="no directory of ours"):
        image.write(tmp_path, PLATFORM, [])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_commands_build_for_the_platform_and_deploy(tmp_path: Path) -> None:
    commands = image.commands(tmp_path, PLATFORM, "f", "here")
    assert any(command.startswith("docker build --platform linux/arm64") for command in commands)
    assert commands[-1] == "transparent-mp deploy --function f --image here/f:latest"
