"""A halt: trading is switched off, for all or for one symbol, bot or model."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class HaltMode(StrEnum):
    """`full`: nothing goes out. `reduce_only`: CLOSE and actions that reduce a position do."""

    FULL = "full"
    REDUCE_ONLY = "reduce_only"


class Halt(BaseModel):
    """The value of `halt/...` on `control` (`halt/1`), with the scope it stands under.

    `scope` is `all`, `symbol/<s>`, `bot/<b>`, `model/<m>`, or `settings` where ENABLE_LLM_TRADING is false.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: str = Field(default="all", max_length=160)
    mode: HaltMode = HaltMode.FULL
    why: str = Field(default="", max_length=280)
    by: str = Field(default="", max_length=128)
    at: str | None = Field(default=None, max_length=40)


TRADING_DISABLED = Halt(scope="settings", why="ENABLE_LLM_TRADING is false")
