"""TLS to the store: whose certificate is not right is told so, at the client and from a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.store import connect as of_connect
from transparent_mp.store.connect import connect, for_workers

SANDBOX = Path(__file__).resolve().parents[1] / "sandbox" / "sandbox"

APP = """
    import multiprocessing

    if __name__ == "__main__":
        with multiprocessing.Pool(2) as pool:
            print(sum(pool.map(abs, range(-1000, 0))), len(pool.map(bytes, [3_000_000])[0]))
"""


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate = folder / "ca.crt"
        subject = ("-subj", "/CN=tests")
        self._openssl(
            "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", *subject, *_SIGNS
        )

    def issue(
        self, name: str, *, names: str = "IP:127.0.0.1,DNS:localhost", days: int = 2
    ) -> tuple[Path, Path]:
        """Certificate and key of a server; `days` below nothing: it is over."""
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self._folder / "ext").write_text(f"subjectAltName={names}\nauthorityKeyIdentifier=keyid\n")
        made = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *made, "-out", f"{name}.crt", "-days", str(days))
        return self._folder / f"{name}.crt", self._folder / f"{name}.key"

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self._folder, check=True, capture_output=True)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
#: Python 3.13 takes no authority that does not say that it may sign.
_SIGNS = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def tls(redis: Callable[..., Any]) -> Callable[..., Any]:
    """A server with a certificate, or none where the server here has no TLS."""

    def start(pair: tuple[Path, Path]) -> Any:
        try:
            return redis(tls=pair)
        except RuntimeError as error:
            if os.environ.get("CI", "false") != "false":
                raise
            pytest.skip(f"the redis-server here has no TLS: {error}")

    return start


def url(server: Any, ca: Path | None, host: str = "127.0.0.1") -> str:
    return f"rediss://{host}:{server.tls_port}/0" + (f"?ssl_ca_certs={quote(str(ca))}" if ca else "")


@pytest.mark.parametrize("workers", ["local", "sandbox"])
def test_a_program_runs_over_tls_and_workers_are_told_the_authority(
    workers: str, program: Callable[..., Any], tls: Callable[..., Any], authority: Authority
) -> None:
    if workers == "sandbox" and os.geteuid() != 0 and os.environ.get("CI", "false") == "false":
        pytest.skip("the sandbox makes namespaces, which needs root")
    server = tls(authority.issue("server"))
    # In the sandbox the client's directories are not there, and so is not the authority's file.
    package = Path(__import__("transparent_mp").__file__).parent
    command = f"{SANDBOX} --ro {sys.prefix} --ro {package} --" if workers == "sandbox" else ""
    settings = {"WORKER_COMMAND": command} if command else {}
    running = program(APP, REDIS_URL=url(server, authority.certificate), **settings)
    assert running.finish() == ("500500 3000000\n", "", 0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("authority", "unable to get local issuer certificate|certificate signature failure"),
        ("none", "self-signed certificate in certificate chain|unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("name", "(IP address|Hostname) mismatch"),
    ],
)
def test_a_certificate_that_is_not_right_is_refused_and_named(
    wrong: str, said: str, tls: Callable[..., Any], authority: Authority, tmp_path: Path
) -> None:
    ca: Path | None = authority.certificate
    if wrong == "authority":
        ca = Authority(tmp_path / "another").certificate
    elif wrong == "none":
        ca = None
    pair = authority.issue(
        "server",
        names="DNS:elsewhere.example,IP:10.1.2.3" if wrong == "name" else "IP:127.0.0.1",
        days=-1 if wrong == "expired" else 2,
    )
    server = tls(pair)
    address = url(server, ca)
    # At the client, and at a worker with what it is told.
    for one in (address, for_workers(address)):
        with pytest.raises(StoreError, match=said) as raised:
            connect(one)
        assert "TLS failed" in str(raised.value)
        assert "BEGIN CERTIFICATE" not in str(raised.value)
        assert "ssl_ca_certs=FILE" in str(raised.value)


def test_a_port_without_tls_is_named(
    redis: Callable[..., Any], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It waits for more of what it takes for a command.
    monkeypatch.setattr(of_connect, "CONNECT_TIMEOUT", 0.5)
    with pytest.raises(StoreError, match=r"TLS failed.*see that the port speaks TLS"):
        connect(f"rediss://127.0.0.1:{redis().port}/0?ssl_ca_certs={authority.certificate}")


def test_who_wants_no_check_says_so(tls: Callable[..., Any], authority: Authority) -> None:
    server = tls(authority.issue("server", names="DNS:elsewhere.example"))
    connect(url(server, None) + "?ssl_cert_reqs=none").close()
    connect(url(server, authority.certificate) + "&ssl_check_hostname=false").close()


def test_a_program_that_cannot_trust_its_store_ends_with_one_line_that_says_why(
    program: Callable[..., Any], tls: Callable[..., Any], authority: Authority
) -> None:
    server = tls(authority.issue("server", names="DNS:elsewhere.example"))
    running = program(APP, REDIS_URL=url(server, authority.certificate))
    out, err, status = running.finish()
    assert (out, status) == ("", 1)
    last = err.strip().splitlines()[-1]
    assert f"cannot use the store at rediss://127.0.0.1:{server.tls_port}/0: TLS failed" in last
    assert "mismatch" in last


def test_the_authority_travels_when_its_file_is_here(authority: Authority) -> None:
    address = for_workers(f"rediss://:p%40w@host:1/2?ssl_ca_certs={authority.certificate}&ssl_min_version=x")
    assert str(authority.certificate) not in str.__str__(address)
    assert "ssl_ca_data=-----BEGIN%20CERTIFICATE-----" in address
    assert address.startswith("rediss://:p%40w@host:1/2?ssl_min_version=x&")
    assert repr(address) == "'rediss://host:1/2'"
    for same in (
        "rediss://h?ssl_ca_certs=/no/such/file",
        "rediss://h",
        "redis://h/0?ssl_ca_certs=x",
        "redis://h",
    ):
        assert for_workers(same) == same
