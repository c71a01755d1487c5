"""What a policy makes of a context, and what another would change, before anything is put in force."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backbone.settings import REPOSITORY
from schemas.policy import Policy
from schemas.source import Source
from tests.unit.samples import CATALOGUE, POLICY_TEXT, body, policy, record
from trading_llm.cli import app
from trading_llm.policy_choice import Ground
from trading_llm.policy_diff import EXAMPLES_MAX, Difference
from trading_llm.policy_recorded import newest

pytestmark = pytest.mark.unit

DEFAULT = REPOSITORY / "router" / "policy.toml"
LARGE = """
[[rules]]
name = "large"
when = ["large_position"]
model = "qwen"
alternatives = ["phi3"]
min_confidence = 0.75
mode = "label"

[features]
large_position_pct = 0.05
"""
GROUND = Ground(CATALOGUE, CATALOGUE, 0.7)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sound policy file with a rule of its own."""
    made = tmp_path / "mine.toml"
    made.write_text(f"version = 3\n{POLICY_TEXT}{LARGE}")
    return made


def run(*arguments: str | Path, given: dict[str, Any] | None = None, **environment: str) -> Result:
    asked = None if given is None else json.dumps(given)
    return CliRunner(env=environment).invoke(app, ["policy", *map(str, arguments)], input=asked)


def explained(file: Path, context: dict[str, Any], **event: Any) -> dict[str, Any]:
    result = run("explain", file, "-", "--json", given=body(context=context, **event))
    assert result.exit_code == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_a_sound_file_is_checked_with_its_version_and_digest(file: Path) -> None:
    result = run("check", file, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout).keys() == {"holds", "version", "digest", "flaws"}
    assert "is sound: version 3" in run("check", file).stdout


def test_each_flaw_is_a_line_with_its_place_and_remedy(file: Path) -> None:
    file.write_text(POLICY_TEXT.replace('model = "qwen"', 'model = "gwen"'))
    result = run("check", file, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["holds"], len(told["flaws"])) == (1, False, 2)
    assert told["flaws"][0] == "mine.toml: version: is required; add `version = 1` at the top"
    assert told["flaws"][1].startswith("mine.toml, line 12: rules[1].model: gwen is not in the catalogue (deepseek, fingpt")
    assert result.stderr == "trading-llm: " + "\n".join(told["flaws"]) + "\n"
    for command in (("apply", file), ("explain", file, "-"), ("diff", DEFAULT, file)):
        assert run(*command, given={}).exit_code == 1


def test_a_choice_is_explained_by_facts_rules_chain_and_terms(file: Path) -> None:
    position = {"price": 100.0, "position": 60.0, "account": {"equity": 100_000}}
    told = explained(file, position, risk_limits={"max_position_pct": 0.02})
    assert (told["model"], told["rule"], told["reason"]) == ("qwen", "large", "large_position → qwen")
    assert (told["features"]["large_position"], told["features"]["position_pct"]) == (True, 0.06)
    assert [(each["name"], each["holds"], each["taken"]) for each in told["rules"]] == [
        ("position_and_volume", False, False), ("volatility", False, False), ("sentiment", False, False), ("large", True, True),
    ]  # fmt: skip
    assert told["rules"][0]["when"] == {"has_position": True, "high_volume": "unknown"}
    assert (told["chain"], told["alternatives"], told["mode"]) == (["deepseek"], ["phi3"], "label")
    assert told["threshold"] == {"value": 0.75, "from": "rule large"}
    assert (told["limits"]["max_position_pct"], told["limits"]["valid_ms"]) == (0.02, 60_000)
    assert told["policy"]["version"] == 3


@pytest.mark.parametrize(
    ("event", "threshold"),
    [
        ({}, {"value": 0.7, "from": "MIN_LLM_CONFIDENCE"}),
        ({"model_preference": "qwen"}, {"value": 0.6, "from": "model qwen"}),
        ({"model_preference": "qwen", "risk_limits": {"min_confidence": 0.5}}, {"value": 0.6, "from": "model qwen"}),
        ({"model_preference": "qwen", "risk_limits": {"min_confidence": 0.9}}, {"value": 0.9, "from": "the context"}),
    ],
)
def test_whose_word_the_threshold_is_is_said(file: Path, event: dict[str, Any], threshold: dict[str, Any]) -> None:
    file.write_text(f"version = 4\n{POLICY_TEXT}[models.qwen]\nmin_confidence = 0.6\n")
    assert explained(file, {"price": 1.0}, **event)["threshold"] == threshold


def test_a_choice_is_shown_to_people_with_the_rule_that_was_taken(file: Path) -> None:
    shown = run("explain", file, "-", given=body(context={"price": 1.0, "sentiment": 0.9})).stdout
    assert "sentiment → phi3: holds" in shown
    assert shown.count("taken") == 1


def test_where_fewer_models_run_the_choice_is_theirs(file: Path) -> None:
    asked = body(context={"price": 1.0, "sentiment": 0.9})
    told = json.loads(run("explain", file, "-", "--json", given=asked, TRADING_LLM_MODELS="qwen,deepseek").stdout)
    assert (told["model"], told["policy"]["running"]) == ("deepseek", ["qwen", "deepseek"])


@pytest.mark.parametrize(
    ("given", "why"), [(body(context={"price": -1}), "is REJECTED: context.price"), ({}, "is a dead letter")]
)
def test_for_what_no_policy_sees_no_model_is_chosen(file: Path, given: dict[str, Any], why: str) -> None:
    result = run("explain", file, "-", given=given)
    assert (result.exit_code, result.stdout) == (1, "")
    assert why in result.stderr


def test_the_difference_of_two_policies_is_counted_by_model_and_by_rule() -> None:
    other = POLICY_TEXT.replace('model = "phi3"', 'model = "fingpt"').replace('model = "qwen"', 'model = "qwen"\nmode = "label"')
    tried = Difference(policy(), Policy.from_toml(other), GROUND)
    contexts = [{"sentiment": 0.9}] * 7 + [{"volatility": 0.9}] * 2 + [{"price": 1.0}] * 3 + [{"price": -1}]
    for offset, context in enumerate(contexts):
        tried.take(replace(record(body(context=context)), source=Source("contexts", 0, offset)))
    told = tried.document()
    assert [told[name] for name in ("contexts", "refused", "changed", "other_terms")] == [13, 1, 7, 2]
    assert told["by_model"] == [{"from": "phi3", "to": "fingpt", "contexts": 7}]
    assert told["by_rule"] == [{"from": "sentiment", "to": "sentiment", "contexts": 7}]
    assert len(told["examples"]) == EXAMPLES_MAX
    assert told["examples"][0] == {
        "src": "contexts/0/0", "bot_id": "momentum_bot", "symbol": "BTCUSDT",
        "from": {"model": "phi3", "rule": "sentiment"}, "to": {"model": "fingpt", "rule": "sentiment"},
    }  # fmt: skip


def test_a_policy_that_refuses_what_another_takes_changes_it() -> None:
    strict = policy("[defaults]\nmax_age_ms = 1000\n")
    tried = Difference(policy(), strict, GROUND)
    tried.take(record(body(as_of="2023-11-14T22:13:10Z")))
    assert tried.document()["by_model"] == [{"from": "deepseek", "to": "REJECTED", "contexts": 1}]


def test_of_a_span_that_holds_too_much_each_partitions_newest_share_is_tried() -> None:
    firsts = {("contexts", 0): 100, ("contexts", 1): 0, ("contexts", 2): 7}
    ends = {("contexts", 0): 400, ("contexts", 1): 100, ("contexts", 2): 7}
    assert newest(firsts, ends, 400).cut is False
    cut = newest(firsts, ends, 100)
    assert (cut.cut, cut.firsts) == (True, {("contexts", 0): 325, ("contexts", 1): 75, ("contexts", 2): 7})
    assert cut.ends == ends, "what comes meanwhile is not read: it would be more than was asked for"
