"""Large contents through object storage, as programs see it: not at all, but in what Redis carries."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from aws_server import REGION, Aws

import transparent_mp
from transparent_mp.launch.clients import Clients

PACKAGE = Path(transparent_mp.__file__).resolve().parent
SANDBOX = Path(__file__).resolve().parents[1] / "sandbox" / "sandbox"
BUCKET = "contents-of-tests"
SIZE = 4_000_000

PROGRAM = """
    import hashlib
    import multiprocessing as mp

    BEFORE = bytes(range(250)) * (SIZE // 250)      # a global that the image of __main__ holds
    big = bytearray(BEFORE)

    def work(given):
        return hashlib.sha256(given).hexdigest(), len(BEFORE), given[::-1]

    def echo(end):
        end.send_bytes(end.recv_bytes() + b"!")

    given = [bytes([n]) * SIZE for n in range(4)]
    with mp.get_context("fork").Pool(2) as pool:
        for content, (digest, length, back) in zip(given, pool.map(work, given, chunksize=1)):
            assert digest == hashlib.sha256(content).hexdigest()
            assert (length, back) == (SIZE, content)
    here, there = mp.Pipe()
    process = mp.Process(target=echo, args=(there,))
    process.start()
    here.send_bytes(big)
    assert here.recv_bytes() == big + b"!"
    process.join()
    print("exit code", process.exitcode)
""".replace("SIZE", str(SIZE))


@pytest.fixture
def bucket(aws: Aws) -> str:
    Clients()("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return BUCKET


def objects() -> int:
    return int(Clients()("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"])


def carried(server: Any) -> int:
    """Bytes that have come into the server and gone out of it."""
    text = server.ask("INFO", "stats").decode()
    return sum(int(number) for number in re.findall(r"total_net_(?:in|out)put_bytes:(\d+)", text))


def test_large_contents_pass_by_redis(
    program: Callable[..., Any], redis: Callable[..., Any], bucket: str
) -> None:
    figures = {}
    for setting in ({}, {"BUCKET": bucket + "/below/here"}):
        server = redis()
        ran = program(PROGRAM, REDIS_URL=server.address, WORKERS="2", LOG="info", **setting).finish(60)
        assert (ran.out, ran.status) == ("exit code 0\n", 0), ran.err
        figures[bool(setting)] = carried(server)
    # 4 there, 4 back, a global for each of three processes or one for each worker, and twice a pipe.
    assert figures[False] > 2 * 10 * SIZE
    assert figures[True] < SIZE / 4
    assert objects() == 0


def test_what_lies_there_is_gone_with_the_session_and_there_before(
    program: Callable[..., Any], redis: Callable[..., Any], bucket: str
) -> None:
    text = """
        import multiprocessing as mp

        def take(end):
            print("taken", len(end.recv_bytes()), flush=True)

        if __name__ == "__main__":
            here, there = mp.Pipe()
            process = mp.Process(target=take, args=(there,))
            process.start()
            here.send_bytes(bytes(2_000_000))
            process.join()
            print("sent", flush=True)
            input()
    """
    running = program(text, REDIS_URL=redis().address, BUCKET=bucket)
    assert [running.hear(), running.hear()] == ["taken 2000000", "sent"]
    listed = Clients()("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert [bool(re.fullmatch(r"transparent-mp/\w{16}/[0-9a-f]{64}", item["Key"])) for item in listed] == [
        True
    ]
    running.say("")
    assert running.finish().status == 0
    assert objects() == 0


@pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI", "false") == "false", reason="the sandbox makes namespaces"
)
def test_code_and_files_of_the_client_come_through_it_too(
    program: Callable[..., Any], redis: Callable[..., Any], bucket: str
) -> None:
    text = """
        import multiprocessing as mp

        def read_and_write(path):
            import table
            with open(path, "rb") as file:
                content = file.read()
            with open("written", "wb") as file:
                file.write(content[::-1])
            return len(content), len(table.TEXT)

        if __name__ == "__main__":
            content = bytes(range(250)) * 16_000
            with open("given", "wb") as file:
                file.write(content)
            with mp.Pool(1) as pool:
                print(*pool.apply(read_and_write, ("given",)))
            with open("written", "rb") as file:
                assert file.read() == content[::-1]
    """
    module = f"TEXT = {'x' * SIZE!r}\n"
    figures = {}
    for setting in ({}, {"BUCKET": bucket}):
        server = redis()
        command = f"{SANDBOX} --ro {sys.prefix} --ro {PACKAGE} --"
        files = {"table.py": module}
        ran = program(
            text, files=files, REDIS_URL=server.address, WORKER_COMMAND=command, WORKERS="1", **setting
        ).finish(60)
        assert (ran.out, ran.status) == (f"{SIZE} {SIZE}\n", 0), ran.err
        figures[bool(setting)] = carried(server)
    # A module, a file read, and one written.
    assert figures[False] > 2 * 3 * SIZE
    assert figures[True] < SIZE / 4
    assert objects() == 0


def test_a_bucket_that_is_not_there_is_named(program: Callable[..., Any], bucket: str) -> None:
    text = """
        import multiprocessing as mp

        here, there = mp.Pipe()
        process = mp.Process(target=print, args=(there,))
        process.start()
        process.join()
        try:
            here.send_bytes(bytes(2_000_000))
        except OSError as error:
            print(error)
    """
    ran = program(text, BUCKET=bucket + "-other").finish()
    assert (
        "the bucket contents-of-tests-other cannot be written: AWS answers PutObject with NoSuchBucket"
        in ran.out
    )
