"""A policy is checked whole: what is wrong is named, with the remedy."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import router
from schemas.policy import Policy, PolicyError
from tests.unit.samples import POLICY_TEXT, policy

pytestmark = pytest.mark.unit

DEFAULT_TEXT = (Path(router.__file__).parent / "policy.toml").read_text(encoding="utf-8")


def test_the_default_policy_is_the_founding_documents_and_says_what_it_is_worth() -> None:
    default = Policy.from_toml(DEFAULT_TEXT)
    assert [(rule.when, rule.model) for rule in default.rules] == [
        (("has_position", "high_volume"), "fingpt"),
        (("volatility_high",), "qwen"),
        (("sentiment_clear",), "phi3"),
    ]
    assert default.default == "deepseek"
    assert (default.defaults.ttl_ms, default.defaults.horizon_s, default.defaults.max_age_ms) == (60_000, 900, None)
    assert "untested prior" in DEFAULT_TEXT


def test_every_chain_of_the_default_policy_ends_at_deepseek() -> None:
    default = Policy.from_toml(DEFAULT_TEXT)
    assert {default.chain(model)[-1] for model in ("fingpt", "qwen", "phi3", "a-new-one")} == {"deepseek"}
    assert default.chain("deepseek") == ("qwen", "phi3", "fingpt")


def test_a_policy_is_named_by_its_text() -> None:
    assert policy().digest == hashlib.sha256(POLICY_TEXT.encode()).hexdigest()
    assert policy("# a comment").digest != policy().digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default = x\nrules = 1", "line 1"),
        ("", "default: is required"),
        ("default = 1", "default: must be a string"),
        ('default = "Deep Seek"', "default: "),
        ('default = "d"\ndigest = "x"', "digest: is an unknown field; remove it, or correct its spelling"),
        ('default = "d"\n[feature]\n', "feature: is an unknown field"),
        ('default = "d"\n[features]\nhigh_volatility = "0.8"', "features.high_volatility: must be a number"),
        ('default = "d"\n[features]\nhigh_volatility = nan', "features.high_volatility: must be a finite"),
        ('default = "d"\n[features]\nhigh_volatility = true', "features.high_volatility: must be a number"),
        ('default = "d"\n[features]\nrecent_bars = 1', "features.recent_bars: must be at least 2"),
        ('default = "d"\n[defaults]\nttl_ms = 0', "defaults.ttl_ms: must be at least 1"),
        ('default = "d"\n[limits]\nmax_position_pct = 2', "limits.max_position_pct: must be at most 1"),
        ('default = "d"\n[limits]\ndefault_stop_pct = 0.5', "default_stop_pct must not be larger than collar_pct"),
        ('default = "d"\n[limits]\nallowed_actions = ["buy"]', "limits.allowed_actions[0]: must be 'BUY'"),
        ('default = "d"\n[models.d]\nmode = "short"', "models.d.mode: must be 'full' or 'label'"),
        (
            'default = "d"\n[[rules]]\nname = "a"\nwhen = ["moon"]\nmodel = "d"',
            "rules[0].when[0]: must be 'has_position'",
        ),
        ('default = "d"\n[[rules]]\nname = "a"\nwhen = []\nmodel = "d"', "rules[0].when: "),
        ('default = "d"\n[[rules]]\nname = "default"\nwhen = ["high_volume"]\nmodel = "d"', "give each rule a name"),
        ('default = "d"\n[fallback]\nqwen = ["phi3"]', "fallback.qwen: must end at the default, d; add it"),
        ('default = "d"\n[fallback]\nqwen = []', "fallback.qwen: must end at the default, d; add it"),
        ('default = "d"\n[fallback]\nqwen = ["qwen", "d"]', "fallback.qwen: must name each other model at most once"),
        ('default = "d"\n' + "#" * 70_000, "shorten it"),
    ],
)
def test_a_policy_that_cannot_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_toml(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("policy: ")


def test_two_rules_may_not_share_a_name() -> None:
    rule = '\n[[rules]]\nname = "a"\nwhen = ["high_volume"]\nmodel = "qwen"'
    with pytest.raises(PolicyError, match=r"rules\[1\].name: 'a' is taken"):
        Policy.from_toml(f'default = "deepseek"{rule}{rule}')


def test_where_fewer_models_run_rules_for_others_are_skipped() -> None:
    some = policy().restricted_to(("phi3", "qwen"))
    assert [rule.model for rule in some.rules] == ["qwen", "phi3"]
    assert some.default == "phi3"
    assert some.chain("qwen") == ("phi3",)
    assert some.chain("fingpt") == ("qwen", "phi3")
    assert (some.restricted, some.digest) == (("phi3", "qwen"), policy().digest)


def test_the_default_stays_where_it_runs() -> None:
    assert policy().restricted_to(("phi3", "deepseek")).default == "deepseek"


def test_a_policy_whose_models_all_run_is_not_restricted() -> None:
    whole = policy()
    assert whole.restricted_to(("qwen", "phi3", "fingpt", "deepseek", "more")) is whole
    with pytest.raises(ValueError, match="at least one"):
        whole.restricted_to(())
