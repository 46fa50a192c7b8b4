"""The bucket as this machine may use it: putting, reading, and at the end deleting."""

from __future__ import annotations

from collections.abc import Iterator

from transparent_mp.cli.checks.line import Line, doubtful, well, wrong
from transparent_mp.config import Config
from transparent_mp.errors import DeployError, TransparentError
from transparent_mp.launch.bucket import Bucket, Place
from transparent_mp.launch.clients import Clients, explained, found
from transparent_mp.worker.examination import DOCTOR, bucket_round_trip

_KILLED = "what killed programs leave in the bucket"


def check(config: Config, clients: Clients) -> Iterator[Line]:
    """The bucket from here."""
    if not config.bucket:
        return
    what = f"the bucket {config.bucket} from here"
    try:
        yield well(what, f"put and read back in {bucket_round_trip(config.bucket):.0f} ms")
    except TransparentError as error:
        yield wrong(what, str(error), "transparent-mp deploy --bucket makes one; else check name and rights")
        return
    yield _rule(Place.of(config.bucket), clients)


def clear(config: Config) -> Iterator[Line]:
    """Delete what the checks have put there, as programs do at their end."""
    if not config.bucket:
        return
    what = f"deleting from the bucket {config.bucket}"
    try:
        Bucket(config.bucket, DOCTOR).clear()
        yield well(what, "these credentials may")
    except TransparentError as error:
        yield wrong(what, str(error), "programs need s3:ListBucket, and s3:DeleteObject below the prefix")


def _rule(place: Place, clients: Clients) -> Line:
    remedy = "give it a lifecycle rule for our prefix that is longer than your longest run (docs/lambda.md)"
    try:
        with explained(DeployError):
            held = found(
                clients("s3").get_bucket_lifecycle_configuration,
                "NoSuchLifecycleConfiguration",
                Bucket=place.bucket,
            )
    except DeployError as error:
        return doubtful(_KILLED, f"unknown: {error}", remedy)
    rules = [rule for rule in (held or {}).get("Rules", ()) if rule["Status"] == "Enabled"]
    if any(place.prefix.startswith(rule.get("Filter", {}).get("Prefix", "")) for rule in rules):
        return well(_KILLED, "is deleted by a rule of its own")
    return doubtful(_KILLED, "stays for ever", remedy)
