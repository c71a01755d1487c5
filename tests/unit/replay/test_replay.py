"""A replay of a recorded live run comes to the very same decisions, by the same code, without an engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deciders.features import Features
from deciders.fleet import Fleet, Standing
from deciders.routing import Chosen, NoModel
from replay import index
from replay.again import Ground, Miss, dead_again, decide_again
from replay.index import Index
from replay.plan import Means, ground_of
from replay.recorded import Recorded
from router.model_router import ModelRouter
from schemas.decision import Decision
from schemas.halt import Halt, HaltMode
from schemas.policy import Policy
from schemas.question import Question
from schemas.status import HealthState
from schemas.topic import DECISIONS
from tests.unit.replay.recording import HELD, MODELS, Live, body, changed_means, means, plan

pytestmark = pytest.mark.unit

FAULTS = ("garbage", "nan", "raise", "cut", "wrong_symbol", "big")
STANDINGS = (
    Standing(), Standing(HealthState.OPEN, "hung"), Standing(HealthState.DOWN), Standing(waiting=9, service_ms=9_000),
    Standing(HealthState.PROBING, probes_left=1), Standing(HealthState.PROBING),
)  # fmt: skip
RICH = """
default = "deepseek"

[[rules]]
name = "position"
when = ["has_position"]
model = "fingpt"
alternatives = ["phi3"]
min_confidence = 0.8
mode = "label"

[[rules]]
name = "volatility"
when = ["volatility_high"]
model = "qwen"
alternatives = ["phi3", "fingpt"]

[[rules]]
name = "sentiment"
when = ["sentiment_clear"]
model = "phi3"

[fallback]
deepseek = ["qwen", "phi3", "fingpt"]
qwen = ["phi3", "deepseek"]
phi3 = ["deepseek"]
fingpt = ["qwen", "deepseek"]

[models.phi3]
min_confidence = 0.6
mode = "full"
"""
VOLATILE = {"context": {"volatility": 0.9}}  # goes to qwen


def ground(folder: Path, made: Means | None = None, **fields: Any) -> Ground:
    return ground_of(plan(folder, **fields), made or means())


def decided_again(live: Live, folder: Path, own: Ground | None = None) -> list[Decision]:
    """Every context of this run that has a decision, decided again."""
    index.build(folder, lambda done, total: None)
    own = own or ground(folder)
    made: list[Decision] = []
    with closing(Index(folder)) as found:
        for record, outcome in zip(live.contexts, live.outcomes, strict=True):
            if outcome.source.topic == DECISIONS:
                again = decide_again(record, Recorded(Decision.from_bytes(outcome.value)), own, found.generation)
                assert again.decision is not None
                made.append(again.decision)
            else:
                reason = next(value.decode() for name, value in outcome.headers if name == "reason")
                assert dead_again(record, reason, own).decision is None
    return made


def as_live(decision: Decision) -> Decision:
    """A replayed decision as the live one must be: that it was read from a record is all that may differ."""
    if decision.generation is None:
        return decision
    return decision.model_copy(update={"generation": decision.generation.model_copy(update={"recorded": False})})


async def answers() -> Live:
    live = Live()
    for number in range(12):
        await live.ask(body(number, **(VOLATILE if number % 3 == 0 else {})))
    return live


async def fallbacks() -> Live:
    live = Live(
        scripts={"qwen": {"faults": {"garbage": "S0USD", "nan": "S1USD", "raise": "S2USD", "hang": "S3USD", "cut": "S4USD"}}}
    )
    for number in range(6):
        await live.ask(body(number, **VOLATILE))
    await live.ask(body(0, context_id="alone", fallback=False, **VOLATILE))
    assert {each.status for each in live.decisions()} >= {"ABSTAINED_BAD_OUTPUT"}
    return live


async def a_chain_that_fails() -> Live:
    faults = {name: {"faults": {"garbage": ""}} for name in MODELS}
    live = Live(scripts=faults)
    await live.ask(body(0))
    (decision,) = live.decisions()
    assert decision.generation is not None and len(decision.generation.failed) == 3 and len(decision.route.attempts) == 4
    return live


async def refusals() -> Live:
    live = Live()
    await live.ask(body(0))
    await live.ask(body(0))  # a repeat
    await live.ask(body(0, horizon_s=60))  # a reuse
    await live.ask(b"no json")
    await live.ask(body(1, ttl_ms=-1))
    await live.ask(body(2, model_preference="nobody"))
    assert [each.source.topic == DECISIONS for each in live.outcomes] == [True, False, False, False, True, True]
    return live


async def expiries() -> Live:
    live = Live(scripts={"qwen": {"faults": {"hang": ""}}})
    await live.ask(body(0, ttl_ms=50), late_ms=60)  # before it was routed
    await live.ask(body(1, ttl_ms=40, **VOLATILE))  # while it was asked
    assert [each.status for each in live.decisions()] == ["EXPIRED", "EXPIRED"]
    assert [len(each.route.attempts) for each in live.decisions()] == [0, 1]
    return live


async def halts() -> Live:
    live = Live()
    await live.ask(body(0, symbol=f"{HELD}USD"))
    assert [each.status for each in live.decisions()] == ["HALTED"]
    return live


async def answers_that_were_written_late() -> Live:
    live = Live()
    reducing = Halt(scope="bot/bot", mode=HaltMode.REDUCE_ONLY, why="a test")
    ways = [(True, None, 90_000), (False, None, 90_000), (True, Halt(why="a test"), 5), (True, reducing, 5)]
    for number, committed in enumerate(ways):
        live.committed = committed
        for each in range(3):
            live.control.fresh, live.control.halt = True, None
            await live.ask(body(10 * number + each))
    assert {each.status for each in live.decisions()} == {"EXPIRED", "HALTED", "DECIDED"}
    assert any(each.route.halt and each.route.halt.scope == "control" for each in live.decisions())
    return live


async def models_out() -> Live:
    live = Live(standings={"qwen": Standing(HealthState.OPEN, "three of three hung")})
    await live.ask(body(0, **VOLATILE))
    await live.ask(body(1, fallback=False, **VOLATILE))
    assert [each.status == "ABSTAINED_NO_MODEL" for each in live.decisions()] == [False, True]
    return live


async def a_model_that_would_be_late() -> Live:
    live = Live(standings={"qwen": Standing(waiting=10, service_ms=50_000)})
    await live.ask(body(0, **VOLATILE))
    (decision,) = live.decisions()
    assert decision.model is not None and decision.model.name == "deepseek" and "are left" in decision.route.reason
    return live


async def rescues() -> Live:
    live = Live(down="qwen", scripts={"deepseek": {"faults": {"garbage": "S1USD"}}})
    await live.ask(body(0, **VOLATILE))
    await live.ask(body(1, **VOLATILE))
    await live.ask(body(2, ttl_ms=900, fallback=False, **VOLATILE))
    assert [each.route.attempts[0].outcome for each in live.decisions()] == ["rescued"] * 3
    assert live.decisions()[2].status == "ABSTAINED_NO_MODEL"
    return live


RUNS = [
    answers, answers_that_were_written_late, fallbacks, a_chain_that_fails, refusals, expiries, halts, models_out,
    a_model_that_would_be_late, rescues,
]  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
async def test_a_replay_makes_the_very_decisions_of_the_live_run(run: Callable[[], Any], tmp_path: Path) -> None:
    live: Live = await run()
    made = decided_again(live, live.put(tmp_path))
    assert [as_live(each) for each in made] == live.decisions()


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_bots_ask_and_engines_do_a_replay_makes_the_very_decisions(seed: int, tmp_path: Path) -> None:
    drawn = random.Random(seed)
    faults = {name: {"faults": {drawn.choice(FAULTS): f"S{drawn.randrange(9)}"}} for name in MODELS}
    live = Live(scripts=faults, policy=Policy.from_toml(RICH), down=drawn.choice((None, *MODELS)))
    for number in range(60):
        live.standings = {drawn.choice(MODELS): drawn.choice(STANDINGS)}
        live.committed = drawn.choice((None, None, None, (True, None, 90_000), (True, Halt(why="a test"), 5)))
        live.control.fresh, live.control.halt = True, None
        await live.ask(question(number, drawn), partition=number % 3, late_ms=drawn.choice((0, 0, 900)))
    made = decided_again(live, live.put(tmp_path))
    assert [as_live(each) for each in made] == live.decisions()
    assert len({each.status for each in made}) > 3


def question(number: int, drawn: random.Random) -> dict[str, Any]:
    """What a bot might ask, drawn."""
    market: list[dict[str, Any]] = [
        {}, {"volatility": 0.9}, {"sentiment": -0.9}, {"position": {"size": 2, "entry_price": 90.0}, "volume_ratio": 3.0},
        {"market": "perp"}, {"news": [{"source": "x", "published_at": 1_600_000_000_000, "text": "up!"}]},
    ]  # fmt: skip
    asked: list[dict[str, Any]] = [
        {}, {}, {"fallback": False}, {"model_preference": drawn.choice((*MODELS, "nobody"))}, {"ttl_ms": 500}, {"ttl_ms": -1},
        {"risk_limits": {"max_position_pct": 0.01, "min_confidence": 0.9}}, {"risk_limits": {"allowed_actions": ["SELL"]}},
        {"horizon_s": 60}, {"context_id": None}, {"context_id": f"c-{number - 3}"},
    ]  # fmt: skip
    return body(number, context=drawn.choice(market), **drawn.choice(asked))


async def test_what_was_read_from_a_record_says_so(tmp_path: Path) -> None:
    live = await answers()
    made = decided_again(live, live.put(tmp_path))
    assert all(each.generation is not None and each.generation.recorded for each in made)


@pytest.mark.parametrize("part", ["prompt", "tokenizer", "weights", "adapter", "sampling"])
async def test_a_miss_names_the_context_and_the_part_that_changed(part: str, tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0))
    changed = changed_means(part)
    named = f"context 'c-0' of bot on S0USD .*contexts/0/0.* another {part} .--on-miss infer asks, abstain goes on.$"
    with pytest.raises(Miss, match=named):
        decided_again(live, live.put(tmp_path), ground(tmp_path, changed))


async def test_a_rule_that_asks_in_a_mode_of_its_own_is_a_miss_before_anything_is_asked(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0, context={"position": 1.0}))
    folder = live.put(tmp_path)
    made = ground(folder, changed_means("weights"), on_miss="infer", policy=RICH)
    with pytest.raises(Miss, match="rule position asks in mode label, and fingpt by itself in full"):
        decided_again(live, folder, made)


class Drawing(ModelRouter):
    """An experiment: half of all contexts go to another model, under a rule of the arm's own."""

    def __init__(self, seed: int) -> None:
        super().__init__(MODELS)
        self.drawn = random.Random(seed)

    def choose(self, question: Question, features: Features, policy: Policy, fleet: Fleet) -> Chosen | NoModel:
        made, arm = super().choose(question, features, policy, fleet), self.drawn.choice(("own", "other"))
        told = {"arm": arm, "propensity": 0.5}
        if arm == "own":
            return replace(made, route=made.route.model_copy(update=told))
        route = made.route.model_copy(update={**told, "rule": "experiment"})
        return Chosen("phi3", "phi3", route)


async def test_an_arm_is_taken_from_the_record_and_never_drawn_again(tmp_path: Path) -> None:
    live = Live(choose=Drawing(1).choose, scripts={"phi3": {"faults": {"garbage": "S3USD"}}})
    for number in range(20):
        await live.ask(body(number))
    assert {each.route.arm for each in live.decisions()} == {"own", "other"}
    folder = live.put(tmp_path)
    made = decided_again(live, folder, replace(ground(folder), choose=Drawing(2).choose))
    assert [as_live(each) for each in made] == live.decisions()


async def test_a_miss_may_be_an_abstention_that_says_why(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0))
    (made,) = decided_again(live, live.put(tmp_path), ground(tmp_path, changed_means("weights"), on_miss="abstain"))
    assert made.status == "ABSTAINED_NO_MODEL" and "another weights" in made.route.reason


async def test_another_policy_takes_answers_that_were_recorded_for_others_by_their_key(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0, model_preference="phi3"))
    await live.ask(body(0, context_id="other"))  # the same market, and DeepSeek's by default
    text = 'default = "phi3"\n[fallback]\nphi3 = ["deepseek"]\n[models.phi3]\nmode = "full"\n'
    made = decided_again(live, live.put(tmp_path), ground(tmp_path, policy=text))
    assert [each.model.name for each in made if each.model] == ["phi3", "phi3"]
    assert made[0].probs == made[1].probs


async def test_a_healthy_fleet_asks_whom_the_rules_name_and_misses_what_that_model_never_said(tmp_path: Path) -> None:
    live = await models_out()
    made = decided_again(live, live.put(tmp_path), ground(tmp_path, fleet="healthy", on_miss="abstain"))
    assert all("no answer of qwen is recorded" in each.route.reason for each in made)
    assert all("this model was not asked about this context" in each.route.reason for each in made)


async def test_a_policy_that_nobody_kept_is_a_miss(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0))
    folder = live.put(tmp_path)
    own = ground(folder)
    with pytest.raises(Miss, match=r"its policy .* is not among the recorded ones"):
        decided_again(live, folder, replace(own, policies={}))


async def test_a_dead_letter_that_would_be_decided_now_is_a_miss(tmp_path: Path) -> None:
    live = Live()
    await live.ask(body(0))
    own = ground(live.put(tmp_path))
    assert dead_again(live.contexts[0], "undecidable", own).decision is None, "what ended its processes stays given up"
    with pytest.raises(Miss, match="would be decided now"):
        dead_again(live.contexts[0], "not_json", own)


async def test_a_tighter_threshold_abstains_where_the_recorded_decision_acted(tmp_path: Path) -> None:
    live = await answers()
    made = decided_again(live, live.put(tmp_path), ground(tmp_path, min_confidence=0.99))
    acted = [now for was, now in zip(live.decisions(), made, strict=True) if was.acts]
    assert acted and {each.status for each in acted} == {"ABSTAINED_LOW_CONFIDENCE"}
