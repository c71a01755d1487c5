"""The router: reads `contexts` in lanes, and replays behind them; each record gets its next hop or its outcome."""

from __future__ import annotations

import asyncio

from backbone import topics
from backbone.control import Control
from backbone.errors import Fatal
from backbone.reader import Reader
from backbone.second_reader import SecondReader
from backbone.settings import Settings
from deciders.fleet import Fleet
from deciders.judge import World
from router.choice import load_choice
from router.fleet import FleetView
from router.intake import REPLAY_BATCH, LiveIntake, ReplayIntake
from router.rescue import Rescue
from schemas.halt import TRADING_DISABLED, Halt
from schemas.policy import Policy
from schemas.question import Question
from schemas.topic import Side

REPLAYS_HELD_MAX = 5 * REPLAY_BATCH  # records of a lane without an outcome: one transaction of them is as short as a live one


class Router:
    """One process of the groups `router` and `replay.router`."""

    def __init__(self, settings: Settings, catalogue: tuple[str, ...]) -> None:
        self._settings, self._catalogue = settings, catalogue
        self._control = Control(settings, self._fail)
        self._choose = load_choice(settings.router, catalogue)
        self._fleet = FleetView(settings, self._fail)
        self._rescue = Rescue(settings, self._fleet, self._control, self._fail)
        live = LiveIntake(settings, self._world, self._fleet, self._rescue)
        self._reader = Reader(settings, Side.LIVE.router_group, Side.LIVE.contexts, live)
        self.failed = self._reader.failed
        few = settings.model_copy(update={"lane_records_max": REPLAYS_HELD_MAX})
        replayed = ReplayIntake(few, self._replayed_world, live.quiet)
        group, topic = Side.REPLAYS.router_group, Side.REPLAYS.contexts
        self._replays = SecondReader(few, group, topic, replayed, self._reader, leave=False)

    @property
    def ready(self) -> bool:
        """Whether every partition of `contexts` assigned to it is being read."""
        return self._reader.ready

    async def start(self) -> None:
        """Check the topics, read `control`, see how the models do, join the group."""
        await topics.check(self._settings, self._catalogue)
        await self._control.start()
        await self._fleet.start()
        await self._rescue.start()
        await self._reader.start()
        if self._settings.replays:
            self._replays.start()

    async def stop(self) -> None:
        """Give the lanes back; the static member stays in the group, so that a restart moves nothing."""
        await self._rescue.stop()
        await asyncio.gather(self._reader.stop(leave=False), self._replays.stop())
        await self._fleet.stop()
        await self._control.stop()

    def _fail(self, error: BaseException) -> None:
        self._reader.fail(error)

    # -- what choices are made by -------------------------------------------------------------------------------------

    def _world(self) -> World:
        return World(self._policy(), self._fleet.now(), self._choose, self._halt_for)

    def _replayed_world(self) -> World:
        """What is replayed acts on nothing, and waits as long as it must: all models are well, and nothing is halted."""
        return World(self._policy(), Fleet(self._settings.models), self._choose, lambda question: None)

    def _policy(self) -> Policy:
        policy = self._control.policy()
        if policy is None:
            raise Fatal("no policy is in force any more on topic control: run `trading-llm topics apply`")
        return policy

    def _halt_for(self, question: Question) -> Halt | None:
        if not self._settings.enable_llm_trading:
            return TRADING_DISABLED
        return self._control.halt_for(question.bot_id, question.symbol, None)
