from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from aws_server import write_wheel

from transparent_mp.errors import DeployError
from transparent_mp.launch.deployment import packages
from transparent_mp.launch.deployment.packages import Archive
from transparent_mp.launch.deployment.wanted import Platform, this_python


def names(archive: Archive) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive.content)) as content:
        return content.namelist()


def read(archive: Archive, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(archive.content)) as content:
        return content.read(name).decode()


@pytest.mark.usefixtures("wheels")
def test_a_function_holds_the_package_and_what_it_needs_for_its_machine(tmp_path: Path) -> None:
    built = packages.function_code(tmp_path / "code", Platform(this_python(), "arm64"))
    found = names(built)
    assert {"transparent_mp/cli/worker.py", "transparent_mp/store/lua/submit.lua"} <= set(found)
    assert {"redis/__init__.py", "cloudpickle/__init__.py"} <= set(found)
    assert "aarch64" in read(built, "hiredis/__init__.py")
    assert not [name for name in found if "__pycache__" in name or name.endswith(("RECORD", "INSTALLER"))]
    assert built.unzipped == sum(size for _, size in built.largest)
    # Built again, it is the same to the byte: what pip notes of when and where is not in it.
    assert packages.function_code(tmp_path / "again", Platform(this_python(), "arm64")).digest == built.digest


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, order in {"one": ("a.py", "b.so"), "two": ("b.so", "a.py")}.items():
        folder = tmp_path / name / "package"
        folder.mkdir(parents=True)
        for file in order:
            (folder / file).write_text(file)
            os.utime(folder / file, (order.index("a.py"), 1))
        (folder / "a.py").chmod(0o600 if name == "one" else 0o755)
    first, second = packages.archive(tmp_path / "one"), packages.archive(tmp_path / "two")
    assert first.content == second.content
    with zipfile.ZipFile(io.BytesIO(first.content)) as content:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in content.infolist()}
    # Lambda runs it as another user.
    assert modes == {"package/a.py": "0o100644", "package/b.so": "0o100755"}


def test_a_layer_holds_packages_where_python_looks_for_them(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, "extra", "1.0", "py3-none-any", {"extra/__init__.py": ""})
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("extra==1.0\n")
    requirements = packages.read_requirements(str(wanted))
    built = packages.layer(tmp_path / "layer", Platform("3.12", "arm64"), requirements, complete=False)
    assert "python/extra/__init__.py" in names(built)
    assert built.largest[0][0] in ("extra", "extra-1.0.dist-info")


@pytest.mark.usefixtures("wheels")
def test_a_package_without_a_wheel_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"nowhere.*can be left out .* container image"):
        packages.layer(tmp_path, Platform("3.12", "arm64"), ["nowhere==1.0"], complete=True)


def test_a_requirements_file_that_is_missing_is_said() -> None:
    with pytest.raises(DeployError, match="no requirements file 'nowhere"):
        packages.read_requirements("nowhere.txt")


def test_the_current_environment_leaves_out_what_a_function_has_anyway() -> None:
    pins, local = packages.current_environment()
    pinned = {pin.partition("==")[0] for pin in pins}
    assert "pytest" in pinned
    assert not {*pinned, *local} & {*packages.NEEDED, *packages.NEVER}


def test_needed_is_what_pyproject_says_without_boto3() -> None:
    text = (Path(__file__).resolve().parents[4] / "pyproject.toml").read_text()
    listed = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    required = {
        line.strip(' ",').partition(">=")[0].partition("[")[0] for line in listed.splitlines() if line
    }
    assert required - {"boto3"} | {"hiredis"} == set(packages.NEEDED)


def test_too_large_names_the_largest_and_the_way_out() -> None:
    code = Archive(b"", 5 << 20, [("redis", 5 << 20)])
    packages.check_size(code, Archive(b"", 245 << 20, [("torch", 245 << 20)]))
    with pytest.raises(
        DeployError, match=r"255 MB unzipped, above the 250 MB.*torch 250 MB, redis 5 MB.*--write-dockerfile"
    ):
        packages.check_size(code, Archive(b"", 250 << 20, [("torch", 250 << 20)]))


def test_a_runtime_on_an_old_system_gets_no_wheel_for_a_new_one() -> None:
    assert "manylinux_2_28_x86_64" not in packages._tags(Platform("3.11", "x86_64"))
    assert packages._tags(Platform("3.13", "arm64"))[0] == "manylinux_2_34_aarch64"
