"""The function's log group, made before Lambda makes one that keeps everything for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transparent_mp.launch.deployment.made import Made
from transparent_mp.launch.deployment.plan import Step
from transparent_mp.launch.deployment.wanted import RETENTION, TAG, Wanted


def steps(made: Made, wanted: Wanted) -> Iterator[Step]:
    """What is missing."""
    logs, name = made.clients("logs"), wanted.log_group
    there = _find(made, name)
    before = there.get("retentionInDays") if there else None
    days = wanted.retention or before or RETENTION

    def keep() -> None:
        logs.put_retention_policy(logGroupName=name, retentionInDays=days)

    def create() -> None:
        logs.create_log_group(logGroupName=name, tags=wanted.tags)
        keep()

    if there is None:
        yield Step("create", f"log group {name}", (f"kept for {days} days",), create)
    elif before != days:
        was = f"{before} days" if before else "for ever"
        yield Step("update", f"log group {name}", (f"kept: {was} -> {days} days",), keep)


def removal(made: Made, wanted: Wanted) -> Iterator[Step]:
    """What takes it away, if it is ours."""
    logs, name = made.clients("logs"), wanted.log_group
    there = _find(made, name)
    if there is None:
        return
    tags = logs.list_tags_for_resource(resourceArn=there["arn"].removesuffix(":*"))["tags"]
    if tags.get(TAG) == wanted.function:
        yield Step("delete", f"log group {name}", ("with all that it holds",), lambda: _delete(made, name))


def _delete(made: Made, name: str) -> None:
    made.clients("logs").delete_log_group(logGroupName=name)


def _find(made: Made, name: str) -> dict[str, Any] | None:
    # It can only be asked for by prefix; the name itself sorts before whatever is longer.
    groups: list[dict[str, Any]] = made.clients("logs").describe_log_groups(logGroupNamePrefix=name)[
        "logGroups"
    ]
    return next((group for group in groups if group["logGroupName"] == name), None)
