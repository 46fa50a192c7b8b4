from __future__ import annotations

import pytest

from transparent_mp.config import Config
from transparent_mp.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "bucket"),
    [("name", "name"), ("s3://name/a/b", "name/a/b"), ("my.bucket-1/x", "my.bucket-1/x"), ("", "")],
)
def test_a_bucket_is_a_name_and_perhaps_a_prefix(text: str, bucket: str) -> None:
    assert Config.from_environ({"TRANSPARENT_MP_BUCKET": text}).bucket == bucket


@pytest.mark.parametrize("text", ["Name", "a", "/x", "https://host/name", "na_me"])
def test_what_is_no_bucket_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"TRANSPARENT_MP_BUCKET=.* is no bucket"):
        Config.from_environ({"TRANSPARENT_MP_BUCKET": text})
