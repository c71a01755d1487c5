"""What one way of asking came to on one wave, and how it is handed from process to process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """One measured wave."""

    way: str
    wave: str
    count: int
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.count / self.seconds

    @property
    def completion_per_s(self) -> float:
        """Generated tokens a second."""
        return self.completion_tokens / self.seconds


def write(file: Path, found: list[Found]) -> None:
    """Keep them as JSON."""
    file.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n", encoding="utf-8")


def read(file: Path) -> list[Found]:
    """What `write` kept."""
    return [Found(**each) for each in json.loads(file.read_text(encoding="utf-8"))]


def table(found: list[Found]) -> str:
    """Rows of Markdown: each wave, and each way beside offline `LLM.generate` on it."""
    offline = {each.wave: each.per_s for each in found if each.way == "generate"}
    rows = [
        "| wave | way | answers | seconds | answers/s | of `generate` | tokens/s | prompt tokens | cached |",
        "|---|" * 1 + "---|" * 8,
    ]
    for each in sorted(found, key=lambda one: (one.wave, one.way)):
        beside = f"{each.per_s / offline[each.wave]:.2f}" if each.wave in offline else ""
        cached = f"{each.cached_tokens / max(1, each.prompt_tokens):.0%}"
        sizes = f"{each.completion_per_s:,.0f} | {each.prompt_tokens / each.count:,.0f} | {cached}"
        rows.append(f"| {each.wave} | {each.way} | {each.count} | {each.seconds:.1f} | {each.per_s:.1f} | {beside} | {sizes} |")
    return "\n".join(rows)
