"""The figures for people: each beside what it is aimed at."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Column, Table

from tests.bench.starting import PHASES

# What is aimed at; a figure that misses it is marked.
OF_FLOOR_MAX = 5.0
P99_MS_MAX = 50.0
OF_LOOP_MIN = 0.6
OF_BEFORE_MIN = 0.85
DECIDING_AIMS = {
    "rate of LLM.generate": " (aim 0.95 or more)", "rate of hobby": " (1.1 or more)", "rate of litellm": " (2 or more)",
    "CPU of hobby": " (0.7 at most)", "CPU of litellm": " (0.33 at most)",
}  # fmt: skip
OF_LITELLM_CPU_MAX = 0.2
SHARING_AIMS = {"live p99 beside replays": " (aim 1.2 at most)", "replays beside live": " (aim 0.6 or more)"}
REPLAYED_PER_S_MIN = 10_000
OF_PARSING_MIN = 0.3
BUSY_RATE = 200  # from this rate on ours is to be faster than FastStream's batch chain
WIDTH = 124
LATENCY_COLUMNS = ("chain", "contexts/s", "p50 ms", "p99 ms", "p50 of floor", "answered", "CPU ms each", "of it broker", "")


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    console = Console(width=WIDTH)
    if latency := found.get("latency"):
        console.print(_latency(latency))
        console.print(_memory(latency["memory_mb"]))
    if (rates := _rates(found)).rows:
        console.print(rates)
    if deciding := found.get("deciding"):
        console.print(_deciding(deciding))
    if sharing := found.get("sharing"):
        console.print(_sharing(sharing))
    if starting := found.get("starting"):
        console.print(_starting(starting["rows"]))
    if choosing := found.get("choosing"):
        console.print(_choosing(choosing["us"]))
    if litellm := found.get("litellm"):
        console.print(_litellm(litellm))


def _deciding(deciding: dict[str, Any]) -> Table:
    numbers = ("decisions/s", "CPU ms each", "of it broker", "the core's", "MB")
    table = Table("way", title=f"One worker on {deciding['model']}'s stand-in (medians of the rounds; CPU beside the core's)")
    for each in numbers:
        table.add_column(each, justify="right")
    for way, of in deciding["medians"].items():
        cpu_ms = of["cpu_ms"] + of["broker_cpu_ms"]
        table.add_row(way, f"{of['per_s']:.1f}", f"{cpu_ms:.2f}", f"{of['broker_cpu_ms']:.2f}",
                      f"{of['core_cpu_ms']:.2f}", f"{of['worker_mb']:.0f}")  # fmt: skip
    aimed = (f"{name} {ratio:.2f}{DECIDING_AIMS.get(name, '')}" for name, ratio in deciding["ratios"].items())
    table.caption = "worker's: " + "; ".join(aimed)
    return table


def _sharing(sharing: dict[str, Any]) -> Table:
    of = sharing["medians"]
    table = Table(
        "", title=f"Live at {sharing['rate']} a second and replays, one worker ({sharing['model']}'s stand-in; medians)"
    )
    for each in ("live p50 ms", "live p99 ms", "replays/s"):
        table.add_column(each, justify="right")
    table.add_row("each alone", f"{of['alone_p50_ms']:.1f}", f"{of['alone_p99_ms']:.1f}", f"{of['replays_alone_per_s']:.1f}")
    table.add_row("together", f"{of['beside_p50_ms']:.1f}", f"{of['beside_p99_ms']:.1f}", f"{of['replays_beside_per_s']:.1f}")
    aimed = (f"{name} {ratio:.2f}{SHARING_AIMS.get(name, '')}" for name, ratio in sharing["ratios"].items())
    table.caption = "; ".join(aimed)
    return table


def _starting(rows: list[dict[str, Any]]) -> Table:
    seconds = ("ready", *PHASES, "cpu_s")
    table = Table("workers", "model", title="Start of a worker with a real engine, seconds; MB (medians of the rounds)")
    for each in (*seconds, "RSS", "PSS"):
        table.add_column(each, justify="right")
    for row in rows:
        told = (f"{row[name]:.1f}" for name in seconds)
        table.add_row(row["way"], row["model"], *told, f"{row['rss_mb']:.0f}", f"{row['pss_mb']:.0f}")
    return table


def _choosing(us: dict[str, float]) -> Table:
    table = Table("what", Column("µs a context", justify="right"), title="One choice by itself (medians of the rounds)")
    for name, each in us.items():
        table.add_row(name, f"{each:.1f}")
    return table


def _litellm(litellm: dict[str, Any]) -> Table:
    numbers = ("at once", "p50 ms", "p99 ms", "a second", "CPU ms each", "of it broker")
    table = Table("way", title="The routing layer alone (medians of the rounds)")
    for each in numbers:
        table.add_column(each, justify="right")
    for row in litellm["rows"]:
        table.add_row(
            row["way"], str(row["at_once"]), f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", f"{row['per_s']:.0f}",
            f"{row['cpu_ms']:.2f}", f"{row['broker_cpu_ms']:.2f}",
        )  # fmt: skip
    aim = f"ours of LiteLLM's (aim for CPU: {OF_LITELLM_CPU_MAX} at most): "
    table.caption = aim + "; ".join(f"{name} {ratio:.2f}" for name, ratio in litellm["of_litellm"].items())
    return table


def _latency(latency: dict[str, Any]) -> Table:
    table = Table(title="Added latency: send to reading the answer (medians of the rounds)")
    for heading in LATENCY_COLUMNS:
        table.add_column(heading, justify="left" if heading in ("chain", "") else "right", no_wrap=heading == "chain")
    batch = {row["rate"]: row["p50_ms"] for row in latency["rows"] if row["chain"] == "faststream_batch"}
    for row in sorted(latency["rows"], key=lambda row: row["rate"]):
        table.add_row(
            row["chain"], str(row["rate"]), f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", f"{row['of_floor']:.2f}",
            f"{row['answered']:.1%}", f"{row['cpu_ms']:.2f}", f"{row['broker_cpu_ms']:.2f}", _missed(row, batch),
        )  # fmt: skip
    return table


def _missed(row: dict[str, Any], batch_p50_ms: dict[int, float]) -> str:
    if row["chain"] != "ours":
        return ""
    missed = [f"over {OF_FLOOR_MAX:.0f} x floor"] if row["of_floor"] > OF_FLOOR_MAX else []
    missed += [f"p99 over {P99_MS_MAX:.0f}"] if row["p99_ms"] > P99_MS_MAX else []
    slower = row["rate"] >= BUSY_RATE and row["p50_ms"] >= batch_p50_ms.get(row["rate"], float("inf"))
    return ", ".join(missed + (["slower than batch"] if slower else [])) or "as aimed"


def _memory(memory_mb: dict[str, float]) -> Table:
    table = Table(title="Memory, MB resident (with the scripted engine)")
    for name in memory_mb:
        table.add_column(name, justify="right")
    table.add_row(*(f"{each:.0f}" for each in memory_mb.values()))
    return table


def _rates(found: dict[str, Any]) -> Table:
    table = Table(title="Rates (medians of the rounds)")
    for heading in ("what", "ours a second", "beside", "a second", "ratio", "aim"):
        table.add_column(heading, justify="right" if "second" in heading or heading == "ratio" else "left")
    if routing := found.get("routing"):
        own, loop = routing["per_s"]["ours"], routing["per_s"]["loop"]
        table.add_row("one router, contexts", f"{own:.0f}", "bare transactions", f"{loop:.0f}",
                      f"{routing['of_loop']:.2f}", f"{OF_LOOP_MIN} or more")  # fmt: skip
        if (before := routing["per_s"].get("before")) is not None:
            table.add_row("", f"{own:.0f}", "the router before", f"{before:.0f}", f"{routing['of_before']:.2f}",
                          f"{OF_BEFORE_MIN} or more")  # fmt: skip
    if replaying := found.get("replaying"):
        own, floor = replaying["per_s"]["ours"], replaying["per_s"]["floor"]
        what = f"replay on {replaying['processes']} processes, contexts"
        table.add_row(what, f"{own:.0f}", "only read and parsed", f"{floor:.0f}", f"{replaying['of_floor']:.2f}",
                      f"{OF_PARSING_MIN} or more, {REPLAYED_PER_S_MIN:,} a second")  # fmt: skip
    return table
