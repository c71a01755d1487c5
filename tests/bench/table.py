"""The figures for people: each beside what it is aimed at."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Column, Table

# What is aimed at; a figure that misses it is marked.
OF_FLOOR_MAX = 5.0
P99_MS_MAX = 50.0
OF_LOOP_MIN = 0.6
OF_GENERATE_MIN = 0.9
OF_BEFORE_MIN = 0.85
OF_LITELLM_CPU_MAX = 0.2
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
    if choosing := found.get("choosing"):
        console.print(_choosing(choosing["us"]))
    if litellm := found.get("litellm"):
        console.print(_litellm(litellm))


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
            f"{row['cpu_ms'] + row['broker_cpu_ms']:.2f}", f"{row['broker_cpu_ms']:.2f}",
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
    if deciding := found.get("deciding"):
        own, offline = deciding["per_s"]["ours"], deciding["per_s"]["generate"]
        what = f"one worker on {deciding['model']}'s stand-in, {deciding['worker_mb']:.0f} MB"
        table.add_row(what, f"{own:.1f}", "LLM.generate", f"{offline:.1f}", f"{deciding['of_generate']:.2f}",
                      f"{OF_GENERATE_MIN} or more")  # fmt: skip
    return table
