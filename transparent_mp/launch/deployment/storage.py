"""The bucket for large contents, and for code that is too large to be sent directly.

One that is there is used as it is; a new one is closed to the public and forgets what a killed client
has left below our prefix after `DAYS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transparent_mp.errors import DeployError
from transparent_mp.launch.bucket import Place
from transparent_mp.launch.clients import found
from transparent_mp.launch.deployment.made import Made
from transparent_mp.launch.deployment.packages import DIRECT, MB, Archive
from transparent_mp.launch.deployment.plan import Step
from transparent_mp.launch.deployment.wanted import TAG, Wanted

#: Longer than any session: what a session still needs must not be forgotten.
DAYS = 7
RULE = "transparent-mp"


def steps(made: Made, wanted: Wanted) -> Iterator[Step]:
    """What is missing."""
    if not wanted.bucket:
        return
    place = Place.of(wanted.bucket)
    if found(made.clients("s3").head_bucket, "404", "NoSuchBucket", Bucket=place.bucket) is not None:
        return
    details = (
        "closed to the public",
        f"forgets what lies below {place.prefix or '/'} for {DAYS} days",
    )
    yield Step("create", f"bucket {place.bucket}", details, lambda: _create(made, wanted, place))


def removal(made: Made, bucket: str, wanted: Wanted) -> Iterator[Step]:
    """What takes it away with all that it holds, if it is ours."""
    if not bucket:
        return
    s3, name = made.clients("s3"), Place.of(bucket).bucket
    tagged = found(s3.get_bucket_tagging, "NoSuchTagSet", "NoSuchBucket", Bucket=name)
    if tagged and {"Key": TAG, "Value": wanted.function} in tagged["TagSet"]:
        yield Step("delete", f"bucket {name}", ("with all that it holds",), lambda: _delete(made, name))


def upload(made: Made, wanted: Wanted, archive: Archive) -> dict[str, Any]:
    """The words of an API call that say where the zip is: in the call itself, or in the bucket."""
    if len(archive.content) <= DIRECT:
        return {"ZipFile": archive.content}
    place = Place.of(wanted.bucket or "")
    key = f"{place.prefix}deploy/{archive.digest}.zip"
    made.clients("s3").put_object(Bucket=place.bucket, Key=key, Body=archive.content)
    return {"S3Bucket": place.bucket, "S3Key": key}


def forget(made: Made, sent: dict[str, Any]) -> None:
    """Delete what `upload` has put into the bucket; Lambda has its own copy by now."""
    if "S3Key" in sent:
        made.clients("s3").delete_object(Bucket=sent["S3Bucket"], Key=sent["S3Key"])


def check(wanted: Wanted, archive: Archive) -> None:
    """Raise DeployError when the zip needs a bucket and none is given."""
    if len(archive.content) > DIRECT and not wanted.bucket:
        raise DeployError(
            f"the zip has {len(archive.content) / MB:.0f} MB, above the {DIRECT / MB:.0f} MB that can be "
            "sent directly: give --bucket NAME, through which it then goes"
        )


def _create(made: Made, wanted: Wanted, place: Place) -> None:
    s3 = made.clients("s3")
    # The first region of all is the one that must not be named.
    where = (
        {"CreateBucketConfiguration": {"LocationConstraint": made.region}}
        if made.region != "us-east-1"
        else {}
    )
    refusals = ("BucketAlreadyExists", "InvalidBucketName")
    if found(s3.create_bucket, *refusals, Bucket=place.bucket, **where) is None:
        raise DeployError(
            f"the bucket {place.bucket!r} cannot be made: the name is taken (all accounts share them) or not "
            "allowed (3 to 63 lower-case letters, digits and hyphens): give --bucket another name"
        )
    tags = [{"Key": key, "Value": value} for key, value in wanted.tags.items()]
    s3.put_bucket_tagging(Bucket=place.bucket, Tagging={"TagSet": tags})
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(
        Bucket=place.bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True)
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket=place.bucket, LifecycleConfiguration={"Rules": [lifecycle_rule(place)]}
    )


def lifecycle_rule(place: Place) -> dict[str, Any]:
    """What forgets the contents of sessions whose client was killed."""
    return {
        "ID": RULE,
        "Filter": {"Prefix": place.prefix},
        "Status": "Enabled",
        "Expiration": {"Days": DAYS},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def _delete(made: Made, name: str) -> None:
    Place(name, "").clear(made.clients("s3"))
    made.clients("s3").delete_bucket(Bucket=name)
