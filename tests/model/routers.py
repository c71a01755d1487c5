"""The same lane with routers for owners: they judge what they are given at once, in its order, and remember names."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import ClassVar

from hypothesis.stateful import invariant

from backbone.lane_state import Limits
from deciders.dedupe import Dedupe
from deciders.features import Features
from deciders.fleet import Fleet
from deciders.judge import World, judge, remember
from deciders.routing import Chosen, NoModel, choose_model
from schemas.headers import REASON, header_text
from schemas.policy import Policy
from schemas.question import Question
from schemas.record import Record
from schemas.refusal import Reason
from schemas.source import Source
from tests.model.owner import Owner
from tests.model.takeover import TakeoverMachine
from tests.model.world import UNDECIDABLE
from tests.unit.samples import CATALOGUE, LOGGED_MS, body, policy

NAMES_MAX = 1_000


def choose(question: Question, features: Features, rules: Policy, fleet: Fleet) -> Chosen | NoModel:
    """By the rules alone."""
    return choose_model(question, features, rules, fleet, CATALOGUE)


ROUTING = World(policy(), Fleet(CATALOGUE), choose, lambda question: None)


class Router(Owner):
    """A process of the group `router`."""

    def _start_process(self) -> None:
        super()._start_process()
        self._dedupe = Dedupe(NAMES_MAX)

    def _start(self) -> None:
        super()._start()
        self._dedupe.forget_from(self.mark.offset)
        for record in self.broker.input[self._dedupe.covered : self.mark.offset]:
            if record is not None:
                remember(record, self._dedupe)
        self._dedupe.covered = max(self._dedupe.covered, self.mark.offset)

    @property
    def may_read(self) -> bool:
        """Whether it would read now: not while it judges."""
        return super().may_read and not self.asked

    def work_on(self, records: list[Record]) -> None:
        """Judge each, up to one that ends this process."""
        super().work_on(records)
        for record in records:
            if record.source.offset in self.world.poison:
                break
            self.finish(judge(record, self._dedupe, ROUTING, LOGGED_MS + self.now_ms))


class RouterMachine(TakeoverMachine):
    """What is judged is named by its kind: an id comes again and again."""

    owner_type: ClassVar[type[Owner]] = Router
    limits: ClassVar[Limits] = Limits(records_max=4, bytes_max=1_200)
    schedules: ClassVar[int] = 0

    def record(self, offset: int, kind: str) -> Record:
        name = f"x{offset}" if kind == "x" else kind
        value = json.dumps(body(context_id=name)).encode()
        return Record(Source("contexts", 3, offset), name.encode(), value, (), LOGGED_MS + self.broker.now_ms)

    def _sane(self, owner: Owner) -> list[Record]:
        return []  # a router finishes by itself

    @invariant()
    def a_name_is_decided_once(self) -> None:
        """After a record that was given up, one of its name may be either: nobody decided the first."""
        outcomes = self.broker.outcomes
        given_up = {each.src for each in outcomes if each.output.value == UNDECIDABLE.encode()}
        bearers: dict[bytes | None, list[int]] = defaultdict(list)
        for record in self.broker.input:
            if record is not None:
                bearers[record.key].append(record.source.offset)
        for each in outcomes:
            before = [offset for offset in bearers[each.record.key] if offset < each.src]
            if each.src not in given_up and not given_up.issuperset(before or [each.src]):
                repeats = header_text(each.output.headers, REASON) == Reason.DUPLICATE_CONTEXT_ID.value
                assert repeats == bool(before), f"named once: {each.src} repeats: {repeats}"
