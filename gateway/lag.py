"""The `topics` of `GET /status`: how far each lane topic is behind."""

from __future__ import annotations

from collections.abc import Sequence

from backbone.errors import Fatal, Transient
from backbone.lag import Lag, LagReader
from backbone.settings import Settings
from backbone.topics import plan
from schemas.topic import is_replay


async def lags(settings: Settings, now_ms: int) -> list[Lag]:
    """Every live topic that is read in lanes. Raises Fatal where the broker is away."""
    reader = LagReader(settings, [each for each in plan(settings.catalogue_names) if not is_replay(each.name)])
    try:
        await reader.start()
        return await reader.look(now_ms)
    except Transient as error:
        raise Fatal(f"{error}; is it up, with its topics?") from error
    finally:
        await reader.stop()


def as_json(found: Sequence[Lag]) -> list[dict[str, object]]:
    """The `topics` of `GET /status` and of `status --json`."""
    return [{"name": each.name, "lag": each.open_offsets, "oldest_s": each.oldest_s} for each in found]
