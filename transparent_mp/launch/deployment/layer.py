"""The layer with the packages that programs need, beside a function whose code is a zip.

A version is published when its content is new or for another platform. Both stand in its description, since
layers carry no tags; a description of ours begins as our tags do, and those versions `destroy` removes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transparent_mp.errors import DeployError
from transparent_mp.launch.deployment import storage
from transparent_mp.launch.deployment.made import Made
from transparent_mp.launch.deployment.packages import MB, Archive
from transparent_mp.launch.deployment.plan import Step
from transparent_mp.launch.deployment.wanted import TAG, Platform, Wanted


def steps(made: Made, wanted: Wanted, platform: Platform, packages: Archive | None) -> Iterator[Step]:
    """What is missing; without `packages` the layer stays as it is. Raises DeployError when it cannot."""
    versions = _versions(made, wanted)
    newest: dict[str, Any] = versions[0] if versions and not wanted.no_layer else {}
    made.layer = newest.get("LayerVersionArn", "")
    if packages is None:
        if newest and _platform(newest) != platform:
            raise DeployError(
                f"the layer {wanted.layer} is for {_platform(newest)}, and the function is to be for "
                f"{platform}: give --requirements or --current-environment again, or --no-packages"
            )
        return
    if newest.get("Description") == _description(platform, packages):
        return
    details = (
        f"{packages.unzipped / MB:.1f} MB unzipped, {len(packages.content) / MB:.1f} MB zipped",
        "the largest: " + ", ".join(f"{name} {size / MB:.1f} MB" for name, size in packages.largest[:5]),
    )
    made.layer = f"{wanted.layer} (new version)"
    verb = "update" if versions else "create"
    yield Step(verb, f"layer {wanted.layer}", details, lambda: _publish(made, wanted, platform, packages))


def removal(made: Made, wanted: Wanted) -> Iterator[Step]:
    """What takes its versions away."""
    numbers = [version["Version"] for version in _versions(made, wanted)]
    if not numbers:
        return

    def delete() -> None:
        for number in numbers:
            made.clients("lambda").delete_layer_version(LayerName=wanted.layer, VersionNumber=number)

    shown = ", ".join(str(number) for number in sorted(numbers))
    yield Step("delete", f"layer {wanted.layer}", (f"versions {shown}",), delete)


def is_ours(arn: str, wanted: Wanted) -> bool:
    """Whether that layer version belongs to our layer."""
    return arn.split(":")[6:7] == [wanted.layer]


def _publish(made: Made, wanted: Wanted, platform: Platform, packages: Archive) -> None:
    sent = storage.upload(made, wanted, packages)
    version = made.clients("lambda").publish_layer_version(
        LayerName=wanted.layer,
        Description=_description(platform, packages),
        Content=sent,
        CompatibleRuntimes=[platform.runtime],
        CompatibleArchitectures=[platform.architecture],
    )
    storage.forget(made, sent)
    made.layer = version["LayerVersionArn"]


def _platform(version: dict[str, Any]) -> Platform:
    """What a version was built for."""
    _tag, python, architecture, _digest = version["Description"].split(" ")
    return Platform(python, architecture)


def _description(platform: Platform, packages: Archive) -> str:
    return f"{TAG} {platform.python} {platform.architecture} {packages.digest}"


def _versions(made: Made, wanted: Wanted) -> list[dict[str, Any]]:
    """Ours, the newest first."""
    pages = made.clients("lambda").get_paginator("list_layer_versions").paginate(LayerName=wanted.layer)
    found = [version for page in pages for version in page["LayerVersions"]]
    ours = [version for version in found if version.get("Description", "").startswith(TAG + " ")]
    return sorted(ours, key=lambda version: -version["Version"])
