"""What processes have resident while a case runs, a sample a second: as figures, as CSV, and as a drawing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.usage import usage_of
from tests.support.processes import Running

EVERY_S = 1.0
WIDTH, HEIGHT, LEFT, BELOW = 640, 220, 48, 24
COLOURS = ("#1f6feb", "#c2410c", "#15803d")


@dataclass(slots=True)
class Memory:
    """Megabytes resident of each process, by name, and the seconds at which they were looked at."""

    at_s: list[float] = field(default_factory=list)
    mb: dict[str, list[float]] = field(default_factory=dict)

    def growth_mb(self, name: str, warm_s: float) -> float:
        """How much more it had in the last tenth than in the first tenth after so many seconds, by the middle of each."""
        warm = [mb for at_s, mb in zip(self.at_s, self.mb[name], strict=True) if at_s >= warm_s]
        tenth = max(1, len(warm) // 10)
        return round(median(warm[-tenth:]) - median(warm[:tenth]), 1)

    def csv(self) -> str:
        """A line a sample."""
        rows = zip(self.at_s, *self.mb.values(), strict=True)
        return "\n".join([",".join(["seconds", *self.mb]), *(",".join(map(str, row)) for row in rows)]) + "\n"

    def svg(self, title: str) -> str:
        """A curve a process, from 0 MB up."""
        top, last = max(map(max, self.mb.values())) * 1.1, self.at_s[-1]
        lines = [f'<text x="{LEFT}" y="14">{title}</text>', f'<text x="2" y="28">{top:.0f} MB</text>']
        lines.append(f'<text x="{WIDTH - 60}" y="{HEIGHT - 6}">{last:.0f} s</text>')
        lines.append(f'<path d="M{LEFT} 20V{HEIGHT - BELOW}H{WIDTH}" fill="none" stroke="#888"/>')
        for colour, (name, curve) in zip(COLOURS, self.mb.items(), strict=False):
            points = [self._point(at_s / last, mb / top) for at_s, mb in zip(self.at_s, curve, strict=True)]
            lines.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}"/>')
            x, y = points[len(points) // 2].split(",")
            lines.append(f'<text x="{x}" y="{float(y) - 6:.1f}" fill="{colour}">{name}</text>')
        frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">'
        return "\n".join([frame, *lines, "</svg>", ""])

    def _point(self, across: float, up: float) -> str:
        x, y = LEFT + across * (WIDTH - LEFT), (HEIGHT - BELOW) - up * (HEIGHT - BELOW - 20)
        return f"{x:.1f},{y:.1f}"


@asynccontextmanager
async def sampled(processes: Mapping[str, Running]) -> AsyncIterator[Memory]:
    """Samples of these, for as long as the block lasts."""
    memory, began_s = Memory(mb={name: [] for name in processes}), time.monotonic()

    async def look() -> None:
        while True:
            memory.at_s.append(round(time.monotonic() - began_s, 1))
            for name, process in processes.items():
                memory.mb[name].append(usage_of(process.pid).rss_mb)
            await asyncio.sleep(EVERY_S)

    task = asyncio.create_task(look())
    try:
        yield memory
    finally:
        task.cancel()
        await asyncio.wait([task])


def write(memory: Memory, folder: Path, name: str, title: str) -> Sequence[Path]:
    """Both files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"{name}.csv", folder / f"{name}.svg"
    files[0].write_text(memory.csv())
    files[1].write_text(memory.svg(title))
    return files
