"""The function itself: code, configuration, reserved concurrency, and how AWS treats its launches.

A launch that AWS cannot deliver within `EVENT_AGE` is dropped and a failed one not tried again: the client
has given the worker up by then, or launches another by itself.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from transparent_mp.errors import DeployError
from transparent_mp.launch.clients import found, refused
from transparent_mp.launch.deployment import layer, storage
from transparent_mp.launch.deployment import wanted as defaults
from transparent_mp.launch.deployment.made import Made
from transparent_mp.launch.deployment.packages import MB, Archive
from transparent_mp.launch.deployment.plan import Step, changes
from transparent_mp.launch.deployment.wanted import HANDLER, TAG, Platform, Wanted

#: Seconds for a new role to be known to Lambda: IAM tells its other regions when it gets to it, mostly
#: within ten seconds, and offers nothing to wait on.
ROLE_TIMEOUT = 60.0
ROLE_PAUSE = 2.0

_EVENTS = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": defaults.EVENT_AGE}
#: What AWS leaves out of its answer when it is not set.
_EMPTY: dict[str, Any] = {
    "EphemeralStorage": {"Size": defaults.STORAGE},
    "VpcConfig": {},
    "Environment": {},
    "Layers": [],
}
#: For those who read a plan.
_WORDS = {
    "Role": "role",
    "MemorySize": "memory (MB)",
    "Timeout": "time-out (s)",
    "EphemeralStorage": "temporary files (MB)",
    "VpcConfig": "VPC",
    "Environment": "environment",
    "Runtime": "runtime",
    "Handler": "handler",
    "Layers": "layers",
}


def look(made: Made, wanted: Wanted) -> dict[str, Any] | None:
    """The function that is there. Raises DeployError when it is another's."""
    there = found(
        made.clients("lambda").get_function, "ResourceNotFoundException", FunctionName=wanted.function
    )
    if there is None:
        return None
    if there.get("Tags", {}).get(TAG) != wanted.function:
        raise DeployError(
            f"a function {wanted.function} is there and was not made by transparent-mp: give --function "
            "another name"
        )
    found_there: dict[str, Any] = there
    return found_there


def platform(wanted: Wanted, there: dict[str, Any] | None) -> Platform:
    """What the code is to be built for.

    The architecture as asked, as it is, or as here; the Python as asked or as here, since one that is not
    the program's is of no use to it.
    """
    before = there["Configuration"] if there else {}
    architecture = (before.get("Architectures") or [""])[0]
    return Platform(
        wanted.python or defaults.this_python(),
        wanted.architecture or architecture or defaults.this_architecture(),
    )


def in_vpc(wanted: Wanted, there: dict[str, Any] | None) -> bool:
    """Whether the function is to be in one."""
    if wanted.subnets is not None:
        return bool(wanted.subnets)
    return bool(there and there["Configuration"].get("VpcConfig", {}).get("SubnetIds"))


def steps(
    made: Made, wanted: Wanted, there: dict[str, Any] | None, target: Platform, code: Archive | None
) -> Iterator[Step]:
    """What is missing; `code` is None when it is an image."""
    if there is None:
        settings = _settings(made, wanted, {}, target)
        shown = changes({}, _shown(settings))
        details = [*shown, f"architecture: {target.architecture}", _code_line(wanted, code)]
        yield Step(
            "create", f"function {wanted.function}", details, lambda: _create(made, wanted, target, code)
        )
    else:
        yield from _updates(made, wanted, there["Configuration"], target, code)
    yield from _events(made, wanted, there)
    yield from _concurrency(made, wanted, there)


def removal(made: Made, wanted: Wanted, there: dict[str, Any] | None) -> Iterator[Step]:
    """What takes it away."""
    if there is None:
        return
    details = (
        "Lambda removes its network interfaces within 20 minutes, and needs the role for that:",
        "run destroy again then, to remove the role",
    )
    delete = made.clients("lambda").delete_function
    yield Step(
        "delete",
        f"function {wanted.function}",
        details if in_vpc(wanted, there) else (),
        lambda: delete(FunctionName=wanted.function),
    )


def _updates(
    made: Made, wanted: Wanted, before: dict[str, Any], target: Platform, code: Archive | None
) -> Iterator[Step]:
    kind = "Zip" if code is not None else "Image"
    if before.get("PackageType", "Zip") != kind:
        raise DeployError(
            f"the function {wanted.function} is of type {before['PackageType']} and AWS does not let it "
            f"become {kind}: destroy it first, or give --function another name"
        )
    after = _settings(made, wanted, before, target)
    differences = changes(_shown({**_EMPTY, **before}), _shown(after))
    if differences:

        def configure() -> None:
            # What was planned may name a layer that has only been made since.
            _settled(made, wanted)
            now = _settings(made, wanted, before, target)
            made.clients("lambda").update_function_configuration(FunctionName=wanted.function, **now)
            _settled(made, wanted)

        yield Step("update", f"function {wanted.function}", differences, configure)
    moves = before.get("Architectures", ["x86_64"]) != [target.architecture]
    if moves or _code_differs(made, wanted, before, code):
        details = [_code_line(wanted, code), *([f"architecture: {target.architecture}"] if moves else ())]
        yield Step(
            "update", f"code of {wanted.function}", details, lambda: _update_code(made, wanted, target, code)
        )


def _settings(made: Made, wanted: Wanted, before: Mapping[str, Any], target: Platform) -> dict[str, Any]:
    """The function's configuration as it is to be, in the words of the API."""
    storage_before = before.get("EphemeralStorage", {}).get("Size")
    settings: dict[str, Any] = {
        "Role": made.role,
        "MemorySize": wanted.memory or before.get("MemorySize") or defaults.MEMORY,
        "Timeout": wanted.timeout or before.get("Timeout") or defaults.TIMEOUT,
        "EphemeralStorage": {"Size": wanted.storage or storage_before or defaults.STORAGE},
        "VpcConfig": _vpc(wanted, before.get("VpcConfig", {})),
        "Environment": {"Variables": dict(_environ(wanted, before))},
    }
    if wanted.image is None:
        settings.update(
            Runtime=target.runtime, Handler=HANDLER, Layers=_layers(made, wanted, before.get("Layers", []))
        )
    return settings


def _vpc(wanted: Wanted, before: Mapping[str, Any]) -> dict[str, list[str]]:
    subnets = before.get("SubnetIds", []) if wanted.subnets is None else wanted.subnets
    groups = before.get("SecurityGroupIds", []) if wanted.security_groups is None else wanted.security_groups
    if subnets and not groups:
        raise DeployError("--subnets needs --security-groups: one that lets the function out to Redis's port")
    if wanted.security_groups and not subnets:
        raise DeployError("--security-groups needs --subnets: the function is in no VPC")
    return {"SubnetIds": sorted(subnets), "SecurityGroupIds": sorted(groups if subnets else ())}


def _environ(wanted: Wanted, before: Mapping[str, Any]) -> Mapping[str, str]:
    there: Mapping[str, str] = before.get("Environment", {}).get("Variables", {})
    return there if wanted.environ is None else wanted.environ


def _layers(made: Made, wanted: Wanted, before: list[dict[str, Any]]) -> list[str]:
    others = [item["Arn"] for item in before if not layer.is_ours(item["Arn"], wanted)]
    return [*others, *([made.layer] if made.layer else ())]


class _Environ(dict[str, str]):
    """Compared with its values, which may be secrets, and shown without."""

    def __str__(self) -> str:
        return f"{', '.join(sorted(self))} (values not shown)" if self else "none"


def _shown(settings: Mapping[str, Any]) -> dict[str, object]:
    """A configuration as a reader wants it, and as two can be compared."""
    readers: dict[str, Callable[[Any], object]] = {
        "EphemeralStorage": lambda value: value["Size"],
        "VpcConfig": lambda value: (
            ", ".join(sorted([*value.get("SubnetIds", ()), *value.get("SecurityGroupIds", ())])) or "none"
        ),
        "Environment": lambda value: _Environ(value.get("Variables", {})),
        "Layers": lambda value: ", ".join(_arn(item) for item in value) or "none",
    }
    return {
        word: readers[name](settings[name]) if name in readers else settings[name]
        for name, word in _WORDS.items()
        if name in settings
    }


def _arn(item: Any) -> str:
    return item if isinstance(item, str) else str(item["Arn"])


def _code_line(wanted: Wanted, code: Archive | None) -> str:
    if code is None:
        return f"code: image {wanted.image}"
    return f"code: {len(code.content) / MB:.1f} MB zipped, {code.unzipped / MB:.1f} MB unzipped"


def _code_differs(made: Made, wanted: Wanted, before: Mapping[str, Any], code: Archive | None) -> bool:
    if code is not None:
        digest = base64.b64encode(bytes.fromhex(code.digest)).decode()
        return bool(before["CodeSha256"] != digest)
    # Of an image it is the digest of the manifest, which a tag of the registry can be asked for.
    return bool(before["CodeSha256"] != _image_digest(made, wanted.image or ""))


def _image_digest(made: Made, uri: str) -> str:
    """The SHA-256 of what the URI names now."""
    name, _, digest = uri.partition("@sha256:")
    if digest:
        return digest
    repository, _, tag = name.partition("/")[2].rpartition(":")
    answer = made.clients("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    found_digest: str = answer["imageDetails"][0]["imageDigest"]
    return found_digest.removeprefix("sha256:")


def _create(made: Made, wanted: Wanted, target: Platform, code: Archive | None) -> None:
    sent = _sent(made, wanted, code)
    call = {
        **_settings(made, wanted, {}, target),
        "FunctionName": wanted.function,
        "Description": "Workers of transparent_mp",
        "PackageType": "Zip" if code is not None else "Image",
        "Architectures": [target.architecture],
        "Code": sent,
        "Tags": wanted.tags,
    }
    _when_role_is_known(lambda: made.clients("lambda").create_function(**call))
    made.clients("lambda").get_waiter("function_active_v2").wait(FunctionName=wanted.function)
    storage.forget(made, sent)


def _update_code(made: Made, wanted: Wanted, target: Platform, code: Archive | None) -> None:
    sent = _sent(made, wanted, code)
    _settled(made, wanted)
    made.clients("lambda").update_function_code(
        FunctionName=wanted.function, Architectures=[target.architecture], **sent
    )
    _settled(made, wanted)
    storage.forget(made, sent)


def _sent(made: Made, wanted: Wanted, code: Archive | None) -> dict[str, Any]:
    return {"ImageUri": wanted.image} if code is None else storage.upload(made, wanted, code)


def _settled(made: Made, wanted: Wanted) -> None:
    """Wait until the last update is through: AWS refuses another one meanwhile."""
    made.clients("lambda").get_waiter("function_updated_v2").wait(FunctionName=wanted.function)


def _when_role_is_known(create: Callable[[], Any]) -> None:
    deadline = time.monotonic() + ROLE_TIMEOUT
    while True:
        said = refused(create, "InvalidParameterValueException", containing="role")
        if said is None:
            return
        if time.monotonic() > deadline:
            raise DeployError(f"Lambda does not take the role after {ROLE_TIMEOUT:.0f} s: {said}")
        time.sleep(ROLE_PAUSE)


def _events(made: Made, wanted: Wanted, there: dict[str, Any] | None) -> Iterator[Step]:
    aws = made.clients("lambda")
    missing = "ResourceNotFoundException"
    held = there and found(aws.get_function_event_invoke_config, missing, FunctionName=wanted.function)
    before = {name: held[name] for name in _EVENTS if name in held} if held else {}
    if before != _EVENTS:
        details = (f"a launch is not tried twice, nor later than {defaults.EVENT_AGE} s",)

        def put() -> None:
            aws.put_function_event_invoke_config(FunctionName=wanted.function, **_EVENTS)

        yield Step("update" if held else "create", f"event settings of {wanted.function}", details, put)


def _concurrency(made: Made, wanted: Wanted, there: dict[str, Any] | None) -> Iterator[Step]:
    aws, name, number = made.clients("lambda"), wanted.function, wanted.concurrency
    before = (there or {}).get("Concurrency", {}).get("ReservedConcurrentExecutions", -1)
    if number is None or number == before:
        return
    what = f"concurrency of {name}"
    was = before if before >= 0 else "shared with the account's other functions"
    if number < 0:
        details = (f"reserved: {was} -> none of its own",)
        yield Step("delete", what, details, lambda: aws.delete_function_concurrency(FunctionName=name))
        return

    def put() -> None:
        aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=number)

    yield Step("update" if before >= 0 else "create", what, (f"reserved: {was} -> {number}",), put)
