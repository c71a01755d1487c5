"""A policy is checked whole: what is wrong is named, with the remedy."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import router
from schemas.policy import Policy
from schemas.policy_flaw import FLAWS_MAX, PolicyError
from schemas.toml_line import LINES_MAX
from tests.unit.samples import CATALOGUE, POLICY_TEXT, policy

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


RULE = '[[rules]]\nname = \'a\'\nwhen = ["high_volume"]\nmodel = "d"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default = x\nrules = 1", "policy: is no TOML: Invalid value (at line 1, column 11); correct"),
        ("", "policy: default: is required; add it"),
        ("default = 1", "policy, line 1: default: must be a string"),
        ('default = "Deep Seek"', "policy, line 1: default: must match ^[a-z]"),
        ('default = "d"\ndigest = "x"', "policy, line 2: digest: is an unknown field; remove it, or correct its spelling"),
        ('default = "d"\n[feature]\n', "policy, line 2: feature: is an unknown field"),
        ('default = "d"\nversion = 0', "policy, line 2: version: must be at least 1"),
        ('default = "d"\nversion = "one"', "policy, line 2: version: must be an integer"),
        ('default = "d"\n[features]\nhigh_volatility = "0.8"', "policy, line 3: features.high_volatility: must be a number"),
        ('default = "d"\n[features]\nhigh_volatility = nan', "policy, line 3: features.high_volatility: must be a finite"),
        ('default = "d"\n[features]\nhigh_volatility = true', "policy, line 3: features.high_volatility: must be a number"),
        ('default = "d"\n[features]\nrecent_bars = 1', "policy, line 3: features.recent_bars: must be at least 2"),
        ('default = "d"\n[features]\nlarge_position_pct = 0', "line 3: features.large_position_pct: must be greater than"),
        ('default = "d"\n[balance]\nfactor = 0.5', "policy, line 3: balance.factor: must be at least 1"),
        ('default = "d"\n[defaults]\nttl_ms = 0', "policy, line 3: defaults.ttl_ms: must be at least 1"),
        ('default = "d"\n[limits]\nmax_position_pct = 2', "policy, line 3: limits.max_position_pct: must be at most 1"),
        ('default = "d"\n[limits]\ndefault_stop_pct = 0.5', "line 2: limits: default_stop_pct must not be larger"),
        ('default = "d"\n[limits]\nallowed_actions = ["buy"]', "policy, line 3: limits.allowed_actions[0]: must be 'BUY'"),
        ('default = "d"\n[models.d]\nmode = "short"', "policy, line 3: models.d.mode: must be 'full' or 'label'"),
        (f'default = "d"\n{RULE}mode = "short"', "policy, line 6: rules[0].mode: must be 'full' or 'label'"),
        (f'default = "d"\n{RULE}min_confidence = 2', "policy, line 6: rules[0].min_confidence: must be at most 1"),
        ('default = "d"\n[[rules]]\nname = "a"\nwhen = ["high_volume"]', "policy, line 2: rules[0].model: is required; add it"),
        ('default = "d"\n[[rules]]\nname = "a"\nwhen = ["moon"]\nmodel = "d"', "line 4: rules[0].when[0]: must be 'has_pos"),
        ('default = "d"\n[[rules]]\nname = "a"\nwhen = []\nmodel = "d"', "line 4: rules[0].when: must have at least 1 of them"),
        ('default = "d"\n' + RULE.replace("'a'", "'default'"), "line 3: rules[0].name: 'default' is taken; give each rule"),
        ('default = "d"\n' + RULE.replace("'a'", "'router:Own'"), "rules[0].name: 'router:Own' is taken; give each rule a name"),
        (f'default = "d"\n{RULE}\n{RULE}', "policy, line 8: rules[1].name: 'a' is taken; give each rule a name of its own"),
        (f'default = "d"\n{RULE}alternatives = ["d"]', "line 6: rules[0].alternatives: must name each other model at most"),
        (f'default = "d"\n{RULE}alternatives = ["q"]', "policy: fallback.d: is required: nobody is asked where the default "
         'fails; add `d = ["q"]` under [fallback]'),
        (f'default = "d"\n{RULE}'.replace("high_volume", "large_position"), "line 4: rules[0].when: large_position is "
         "off, so this rule could never hold; set features.large_position_pct, such as 0.05"),
        ('default = "d"\n[fallback]\nd = ["qwen"]\nqwen = ["phi3"]', "line 4: fallback.qwen: must end at the default, d; add it"),
        ('default = "d"\n[fallback]\nd = []\nqwen = []', "policy, line 4: fallback.qwen: must end at the default, d; add it"),
        ('default = "d"\n[fallback]\nd = []\nqwen = ["qwen", "d"]', "line 4: fallback.qwen: must name each other model at most"),
        ('default = "d"\n[fallback]\nqwen = ["d"]', "policy, line 2: fallback.d: is required"),
        ('default = "d"\n' + "#" * 70_000, "policy: has more than 65536 bytes; shorten it"),
        ('default = "d"\nx = ' + "[" * 20_000, "policy: is nested too deeply"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_used_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_file(text, "policy", ("d", "q", "qwen", "phi3"))
    assert message in "\n".join(caught.value.lines)
    assert all(line.startswith(("policy: ", "policy, line ")) for line in caught.value.lines)
    assert not any(word in line for line in caught.value.lines for word in ("Input", "String", "Tuple")), "the house's words"


def test_everything_that_is_wrong_is_named_a_line_each_in_the_order_of_the_file() -> None:
    text = f'version = 1\ndefault = "d"\n{RULE}\n{RULE.replace("high_volume", "large_position")}[fallback]\nqwen = ["phi3"]\n'
    with pytest.raises(PolicyError) as caught:
        Policy.from_file(text, "mine.toml", ("d", "phi3", "qwen"))
    assert [line.partition(": ")[0] for line in caught.value.lines] == [f"mine.toml, line {at}" for at in (9, 10, 12, 13)]
    assert str(caught.value) == f"{caught.value.lines[0]} (and 3 more: `trading-llm policy check` names all)"


HOSTILE = {
    "900 unknown keys": "".join(f"key{number} = 1\n" for number in range(900)),
    "500 unknown keys in one inline table": f"[features]\nx = {{{', '.join(f'key{number} = 1' for number in range(500))}}}\n",
    "100 wrong names in lines of their own": RULE.replace('["high_volume"]', "[" + '"moon",\n' * 99 + "]"),
    "a list of 300 lines": RULE.replace('["high_volume"]', "[" + '"moon",\n' * 300 + "]"),
    "as many lines as are said": "x = 1\n" + "\n" * (LINES_MAX - 5) + "[limits]\ny = 1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_refused_with_few_parses(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parses = 0

    def counted(text: str, parse: Callable[[str], dict[str, Any]] = tomllib.loads) -> dict[str, Any]:
        nonlocal parses
        parses += 1
        return parse(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    with pytest.raises(PolicyError):
        Policy.from_file(text, "policy", CATALOGUE)
    looks = FLAWS_MAX * LINES_MAX.bit_length() + 1
    assert parses <= 1 + text.count("\n") + 1 + looks, "once whole, each line once, and a bisection for each flaw that is said"
    parses = 0
    with pytest.raises(PolicyError):
        Policy.from_toml(text)
    assert parses == 1, "what lies on control is parsed once"


def test_of_many_flaws_twenty_are_said_and_the_rest_is_counted() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_file('default = "d"\n' + HOSTILE["900 unknown keys"], "mine.toml", ("d",))
    unknown = "is an unknown field; remove it, or correct its spelling"
    assert caught.value.lines == (*(f"mine.toml, line {2 + at}: key{at}: {unknown}" for at in range(FLAWS_MAX)), "and 880 more")
    assert str(caught.value).endswith("(and 899 more: `trading-llm policy check` names the first 20)")


def test_a_file_that_is_to_be_put_in_force_carries_a_version_and_names_only_models_that_there_are() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy.from_file(POLICY_TEXT.replace('model = "qwen"', 'model = "qwenn"'), "mine.toml", ("deepseek", "fingpt", "phi3"))
    unknown = "is not in the catalogue (deepseek, fingpt, phi3); correct its spelling, or add its file"
    assert caught.value.lines == (
        "mine.toml: version: is required; add `version = 1` at the top",
        f"mine.toml, line 12: rules[1].model: qwenn {unknown}",
        f"mine.toml, line 20: fallback.deepseek: qwen {unknown}",
        f"mine.toml, line 21: fallback.fingpt: qwen {unknown}",
    )
    assert Policy.from_file(f"version = 7\n{POLICY_TEXT}", "mine.toml", CATALOGUE).version == 7
    assert policy().version is None, "what lies on control from before stays readable"


def test_the_default_policy_may_be_put_in_force() -> None:
    assert Policy.from_file(DEFAULT_TEXT, "policy.toml", CATALOGUE).version == 1


LARGE = """
[[rules]]
name = "large"
when = ["has_position"]
model = "qwen"
alternatives = ["phi3", "fingpt"]
min_confidence = 0.8
mode = "label"

[balance]
factor = 3
"""


def test_a_rule_has_terms_and_alternatives_of_its_own_and_the_balance_a_factor() -> None:
    whole = policy(LARGE)
    assert (whole.alternatives("large"), whole.balance.factor) == (("phi3", "fingpt"), 3.0)
    assert [whole.alternatives(name) for name in ("volatility", "default", "preference", "router:Own", None)] == [()] * 5
    assert (policy().balance.factor, policy().features.large_position_pct) == (2.0, None)


def test_a_rules_mode_goes_before_the_models_own() -> None:
    whole = policy(f'{LARGE}[models.qwen]\nmode = "full"\n[models.phi3]\nmode = "label"\n')
    assert [whole.mode(model, "large") for model in ("qwen", "deepseek")] == ["label", "label"]
    assert [whole.mode(model, "volatility") for model in ("qwen", "phi3", "deepseek")] == ["full", "label", "full"]


def test_alternatives_that_do_not_run_are_no_alternatives() -> None:
    assert policy(LARGE).restricted_to(("deepseek", "qwen", "fingpt")).alternatives("large") == ("fingpt",)


def test_what_a_skipped_rule_demands_of_what_it_routed_elsewhere_still_holds() -> None:
    some = policy(LARGE).restricted_to(("phi3", "deepseek"))
    assert [rule.name for rule in some.rules] == ["sentiment"]
    assert (some.min_confidence("deepseek", "large"), some.mode("deepseek", "large")) == (0.8, "label")


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


def test_where_the_default_does_not_run_the_one_in_its_place_has_its_chain() -> None:
    """Else nobody is asked where it fails, though others run: a default's own chain is what a policy must name."""
    some = policy().restricted_to(("phi3", "qwen"))
    assert (some.default, some.chain("phi3")) == ("phi3", ("qwen",))


@pytest.mark.parametrize("bars", [2, 3])
def test_a_file_whose_features_no_candles_could_ever_make_known_is_refused(bars: int) -> None:
    text = f'version = 1\ndefault = "deepseek"\n[features]\nrecent_bars = {bars}'
    with pytest.raises(PolicyError, match=r"line 4: features\.recent_bars"):
        Policy.from_file(text, "p.toml", ("deepseek",))


def test_a_number_of_more_digits_than_python_reads_is_a_flaw_like_any_other() -> None:
    with pytest.raises(PolicyError):
        Policy.from_file(f'version = {"9" * 5_000}\ndefault = "deepseek"', "p.toml", ("deepseek",))
