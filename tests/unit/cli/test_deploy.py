"""The command as it is called; what it does to an account is tested with `launch.deployment`."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from aws_fixtures import MACHINES
from aws_server import Aws, write_wheel

from transparent_mp import cli
from transparent_mp.cli import deploy, destroy
from transparent_mp.launch.clients import Clients
from transparent_mp.launch.deployment import packages
from transparent_mp.launch.deployment.packages import Archive

pytestmark = pytest.mark.usefixtures("aws")
#: An empty zip.
EMPTY = b"PK\x05\x06" + bytes(18)

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code in no time."""
    monkeypatch.setattr(packages, "function_code", lambda *_: Archive(EMPTY, 0, ()))


@pytest.mark.usefixtures("wheels")
def test_deploy_again_and_destroy(capsys: Capture) -> None:
    assert deploy.main(["--yes", "--memory", "2048"]) == 0
    out = capsys.readouterr().out
    assert "transparent-mp (account 123456789012, region eu-west-1):" in out
    assert "+ create function transparent-mp\n" in out
    assert "memory (MB): 2048" in out
    assert "transparent-mp doctor" in out
    assert deploy.main(["--yes"]) == 0
    assert capsys.readouterr().out.endswith("nothing to do\n")
    assert destroy.main(["--yes"]) == 0
    assert "- delete function transparent-mp\n" in capsys.readouterr().out
    assert destroy.main(["--yes"]) == 0
    assert capsys.readouterr().out.endswith("nothing of ours is there\n")


@pytest.mark.usefixtures("built")
def test_a_dry_run_shows_and_does_nothing(capsys: Capture) -> None:
    assert deploy.main(["--dry-run"]) == 0
    assert "+ create function transparent-mp" in capsys.readouterr().out
    assert Clients()("lambda").list_functions()["Functions"] == []


@pytest.mark.usefixtures("built")
def test_without_someone_to_ask_nothing_is_done(capsys: Capture) -> None:
    assert deploy.main([]) == 1
    assert "--yes goes on without" in capsys.readouterr().err
    assert Clients()("lambda").list_functions()["Functions"] == []


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(("answer", "there"), [("y", 1), ("", 0), ("no", 0)])
def test_someone_is_asked(answer: str, there: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert deploy.main([]) == (0 if there else 1)
    assert len(Clients()("lambda").list_functions()["Functions"]) == there


@pytest.mark.usefixtures("built")
def test_packages_of_a_file_become_a_layer(aws: Aws, tmp_path: Path, wheels: Path, capsys: Capture) -> None:
    aws.let_functions_answer(False)
    write_wheel(wheels, "extra", "1.0", "py3-none-any", {"extra/__init__.py": "x" * 100})
    file = tmp_path / "requirements.txt"
    file.write_text("extra==1.0\n")
    assert deploy.main(["--yes", "--requirements", str(file)]) == 0
    assert "+ create layer transparent-mp-packages" in capsys.readouterr().out


@pytest.fixture
def installed_here(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the command takes for installed beside it: what pip has put into this directory."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    write_wheel(wheels, "extra", "1.0", "py3-none-any", {"extra.py": "import native"}, ["native>=1"])
    write_wheel(wheels, "extra", "2.0", "py3-none-any", {"extra.py": "not what is installed"})
    for machine in MACHINES:
        tag = f"{python}-{python}-manylinux_2_17_{machine}"
        write_wheel(wheels, "native", "1.5", tag, {"native/__init__.py": f"MACHINE = {machine!r}"})
    write_wheel(wheels, "setuptools", "1.0", "py3-none-any", {"setuptools.py": ""})
    folder, project = tmp_path / "site-packages", tmp_path / "project"
    project.mkdir()
    write_wheel(project, "of-the-project", "1.0", "py3-none-any", {"of_the_project.py": ""})
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    for words in (["extra==1.0", "setuptools", "cloudpickle"], [str(next(project.glob("*.whl")))]):
        subprocess.run([*install, *words], check=True, capture_output=True, timeout=120)
    here = importlib.metadata.distributions
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: here(path=[str(folder)]))
    return folder


@pytest.mark.usefixtures("installed_here")
def test_the_current_environment_becomes_a_layer_that_can_be_imported(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    aws.let_functions_answer(False)
    made, layer = [], packages.layer
    monkeypatch.setattr(packages, "layer", lambda *a, **k: made.append(layer(*a, **k)) or made[-1])
    words = ["--yes", "--architecture", "arm64", "--current-environment"]
    assert deploy.main(words) == 0
    said = capsys.readouterr().out
    assert "(workers get them from the client): of-the-project\n" in said
    assert "+ create layer transparent-mp-packages" in said

    clients = Clients()
    there = clients("lambda").get_layer_version(LayerName="transparent-mp-packages", VersionNumber=1)
    digest = base64.b64encode(hashlib.sha256(made[0].content).digest()).decode()
    assert there["Content"]["CodeSha256"] == digest
    assert there["CompatibleArchitectures"] == ["arm64"]
    function = clients("lambda").get_function(FunctionName="transparent-mp")["Configuration"]
    assert [each["Arn"] for each in function["Layers"]] == [there["LayerVersionArn"]]

    # As AWS unpacks it, under /opt.
    with zipfile.ZipFile(io.BytesIO(made[0].content)) as content:
        content.extractall(tmp_path / "opt")
    tops = {path.name for path in (tmp_path / "opt" / "python").iterdir()}
    assert tops == {"extra.py", "extra-1.0.dist-info", "native", "native-1.5.dist-info"}
    command = [sys.executable, "-S", "-c", "import extra; print(extra.native.MACHINE)"]
    environ = {"PYTHONPATH": str(tmp_path / "opt" / "python")}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "aarch64\n"

    assert deploy.main(words) == 0
    assert capsys.readouterr().out.endswith("nothing to do\n")


@pytest.mark.usefixtures("built")
def test_the_function_is_named_by_the_setting(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_FUNCTION", "mine")
    assert deploy.main(["--dry-run"]) == 0
    assert "+ create function mine\n" in capsys.readouterr().out


def test_a_dockerfile_is_written_with_the_commands(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "image"
    assert deploy.main(["--write-dockerfile", str(folder), "--architecture", "arm64"]) == 0
    assert (folder / "Dockerfile").exists()
    out = capsys.readouterr().out
    assert "123456789012.dkr.ecr.eu-west-1.amazonaws.com/transparent-mp:latest" in out


def test_an_image_is_deployed_by_its_uri(capsys: Capture) -> None:
    ecr = Clients()("ecr")
    ecr.create_repository(repositoryName="mine")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": []})
    ecr.put_image(repositoryName="mine", imageManifest=manifest, imageTag="latest")
    uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:latest"
    assert deploy.main(["--yes", "--image", uri]) == 0
    out = capsys.readouterr().out
    assert f"code: image {uri}" in out
    assert "building" not in out
    assert Clients()("lambda").get_function(FunctionName="transparent-mp")["Code"]["ImageUri"] == uri


def test_no_credentials_are_said_with_what_to_do(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert deploy.main(["--yes"]) == 1
    assert "no usable AWS credentials" in capsys.readouterr().err
    assert destroy.main(["--yes"]) == 1
    assert "set AWS_PROFILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--memory", "20000"],
        ["--env", "A"],
        ["--concurrency", "0"],
        ["--log-retention", "2"],
        ["--python", "3.8"],
        ["--python", "3.13.1"],
        ["--python", "python3.12"],
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        deploy.main(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_the_commands_are_found_by_name(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "argv", ["transparent-mp", "destroy", "--yes"])
    assert cli.main() == 0
    monkeypatch.setattr(sys, "argv", ["transparent-mp", "nonsense"])
    assert cli.main() == 2
    assert capsys.readouterr().err.startswith(
        "transparent-mp: there is no command nonsense\nusage: transparent-mp"
    )
    monkeypatch.setattr(sys, "argv", ["transparent-mp", "--help"])
    assert cli.main() == 0
