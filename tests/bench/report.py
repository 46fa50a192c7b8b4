"""What a run has found, as a table, as JSON, and as a plot (text where there is no matplotlib).

A row is *met* when its target holds, *missed* when not, and without a target it is only shown.
"""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

from tests.bench.rows import BY_NAME, Row

#: Characters of the longest bar.
BAR = 46


def head(variants: list[str]) -> str:
    columns = "".join(f"{name:>11}" for name in variants)
    return f"{'':<44}{'':>5}{columns}{'x own r':>9}"


def line(row: Row, found: dict[str, Any], variants: list[str]) -> str:
    """A row as it is measured; what became of its target is known when `r` is, at the run's end."""
    cells = "".join(f"{_figure(found['median'].get(name)):>11}" for name in variants)
    ratio = f"{found['own_r']:.1f}" if found["own_r"] else ""
    text = f"{row.what:<44}{row.unit:>5}{cells}{ratio:>9}"
    for name, error in found["errors"].items():
        text += f"\n    {name}: {error.splitlines()[0][:140]}"
    return text.rstrip()


def raw(results: dict[str, Any]) -> float | None:
    """`r` of a run: the median of all raw round trips taken in it, in ms."""
    taken = [trip for found in results.values() for trip in found["trips"]]
    return statistics.median(taken) if taken else None


def targets(results: dict[str, Any], r: float | None) -> str:
    """What became of the targets."""
    lines = [f"{f'r of this run: {r * 1e3:.1f} us' if r else '':<44}{'':>5}{'ours':>11}{'x r':>8}  target"]
    for name, found in results.items():
        row = BY_NAME[name]
        if (kept := met(row, found, r)) is not None:
            ours = found["median"]["ours"]
            ratio = f"{ours / r:.1f}" if r and row.is_time else ""
            lines.append(
                f"{row.what:<44}{row.unit:>5}{_figure(ours):>11}{ratio:>8}  {found['target']:<14}"
                + ("met" if kept else "MISSED")
            )
    return "\n".join(lines)


def met(row: Row, found: dict[str, Any], r: float | None) -> bool | None:
    """Whether the row's target holds; None without one, or when one side is not there."""
    medians = found["median"]
    if row.target is None or "ours" not in medians:
        return None
    target = row.target.at(found["latency"])
    sides = {**medians, "": 1.0, **({"r": r} if r else {})}
    if target.of not in sides or (target.trips and not r):
        return None
    bound = target.factor * sides[target.of] + target.trips * (r or 0.0)
    return bool(medians["ours"] <= bound if row.is_time else medians["ours"] >= bound)


def write(folder: Path, about: dict[str, Any], results: dict[str, Any]) -> None:
    """The files of a run, and where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    # What a run leaves is nobody's source.
    (folder / ".gitignore").write_text("*\n")
    name = f"bench-{about['latency_ms']:g}ms" if about["latency_ms"] else "bench"
    (folder / f"{name}.json").write_text(json.dumps({"about": about, "rows": results}, indent=1) + "\n")
    print(f"\nwritten: {folder / name}.json", end="")
    try:
        import matplotlib
    except ImportError:
        print("\n\n" + bars(results, about["variants"]))
        return
    matplotlib.use("Agg")
    _plot(folder / f"{name}.png", about, results)
    print(f", {folder / name}.png")


def bars(results: dict[str, Any], variants: list[str]) -> str:
    """A bar a variant, on a logarithmic scale; shorter is faster."""
    costs = {name: _costs(found) for name, found in results.items()}
    everything = [cost for row in costs.values() for cost in row.values()]
    if not everything:
        return "nothing was measured"
    low, high = math.log10(min(everything)) - 0.2, math.log10(max(everything))
    lines = ["ms for one (of a rate: for one task or megabyte), logarithmic; shorter is faster"]
    for name, row in costs.items():
        lines.append(BY_NAME[name].what)
        for variant in variants:
            if variant in row:
                length = max(1, round(BAR * (math.log10(row[variant]) - low) / max(high - low, 0.1)))
                lines.append(f"  {variant:<8}{'#' * length} {_figure(row[variant])}")
    return "\n".join(lines)


def _costs(found: dict[str, Any]) -> dict[str, float]:
    """Milliseconds for one, whatever the unit."""
    return {name: value if found["unit"] == "ms" else 1e3 / value for name, value in found["median"].items()}


def _plot(path: Path, about: dict[str, Any], results: dict[str, Any]) -> None:
    import matplotlib.pyplot as plt

    names = [name for name, found in results.items() if found["median"]][::-1]
    figure, axes = plt.subplots(figsize=(10, 1.5 + 0.32 * len(names)))
    colours = {"ours": "#c0392b", "fork": "#2c3e50", "spawn": "#7f8c8d", "lithops": "#e0a030"}
    for variant in about["variants"]:
        points = [(_costs(results[name]).get(variant), at) for at, name in enumerate(names)]
        points = [point for point in points if point[0] is not None]
        label = variant if variant in ("ours", "lithops") else f"plain {variant}"
        axes.scatter(*zip(*points), label=label, color=colours.get(variant), s=46, zorder=3)
    for at, name in enumerate(names):
        costs = list(_costs(results[name]).values())
        axes.plot([min(costs), max(costs)], [at, at], color="#dddddd", zorder=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), [BY_NAME[name].what for name in names])
    axes.set_xlabel("ms for one (of a rate: for one task or megabyte); further left is faster")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    far = f", store {about['latency_ms']:g} ms away" if about["latency_ms"] else ", store on loopback"
    axes.set_title(f"Python {about['python']}, {about['cpus']} CPUs, medians of {about['rounds']}{far}")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
