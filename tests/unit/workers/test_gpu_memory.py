"""What a model takes of a card follows from its numbers; what does not fit is said, with what would."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.catalogue import Architecture, CardArguments, ModelEntry
from tests.unit.workers.snapshots import CATALOGUE, entry
from workers.catalogue import load_catalogue
from workers.gpu_memory import (
    ALLOWANCE_BYTES,
    CARD_SHARE_MAX,
    GB,
    PlanError,
    Wish,
    choose_arguments,
    kv_bytes_a_token,
    reckon,
    weights_bytes,
)
from workers.gpu_remedies import CARDS_GB, remedies

pytestmark = pytest.mark.unit

ENTRIES = list(load_catalogue(CATALOGUE).values())
NAMES = [each.name for each in ENTRIES]
PLAIN = CardArguments()
SMALL = Wish(quantization="fp8", kv_cache_dtype="fp8")
WISHES = st.builds(
    Wish,
    quantization=st.sampled_from([None, "none", "fp8", "awq"]),
    kv_cache_dtype=st.sampled_from([None, "auto", "fp8"]),
    tensor_parallel_size=st.sampled_from([None, 1, 2, 4]),
)
SUBSETS = st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4, unique_by=lambda each: each.name)


def dense(words: int, hidden: int, ffn: int, layers: int, kv: int, biases: int = 0) -> tuple[int, int]:
    """The parameters of a Llama, Qwen2 or Phi-3: all, and those in the layers' matrices."""
    matrices = layers * (2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * ffn)
    return matrices + 2 * words * hidden + layers * (2 * hidden + biases) + hidden, matrices


def latent(words: int, hidden: int, layers: int, heads: int) -> tuple[int, int]:
    """The same of DeepSeek-V2-Lite: its first layer is dense, the others hold 64 routed and 2 shared experts."""
    attention = hidden * heads * 192 + hidden * 576 + 512 * heads * 256 + heads * 128 * hidden
    experts = (layers - 1) * 66 * 3 * hidden * 1_408
    matrices = layers * attention + 3 * hidden * 10_944 + experts
    norms = layers * (2 * hidden + 512) + hidden
    return matrices + 2 * words * hidden + norms + (layers - 1) * 64 * hidden, matrices


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("qwen", dense(152_064, 3_584, 18_944, 28, 512, biases=3_584 + 2 * 512)),
        ("fingpt", dense(32_000, 4_096, 11_008, 32, 4_096)),
        ("phi3", dense(32_064, 3_072, 8_192, 32, 3_072)),
        ("deepseek", latent(102_400, 2_048, 27, 16)),
    ],
)
def test_the_catalogues_parameters_are_those_counted_from_the_shapes(name: str, counted: tuple[int, int]) -> None:
    built = entry(name).architecture
    assert (built.parameters, built.quantizable_parameters) == counted


def test_the_cache_of_a_token_is_a_key_and_a_value_a_head_or_what_latent_attention_keeps() -> None:
    found = {each.name: kv_bytes_a_token(each, PLAIN) for each in ENTRIES}
    assert found == {
        "deepseek": 27 * 576 * 2,
        "qwen": 28 * 2 * 4 * 128 * 2,
        "fingpt": 32 * 2 * 32 * 128 * 2,
        "phi3": 32 * 2 * 32 * 96 * 2,
    }


def test_a_need_is_weights_and_cache_and_allowance() -> None:
    (need,) = reckon([entry("qwen")], 80, Wish()).needs
    assert need.weights_bytes == 2 * 7_615_616_512
    assert need.kv_cache_bytes == 8 * 8_192 * 57_344
    assert need.total_bytes == need.weights_bytes + need.kv_cache_bytes + ALLOWANCE_BYTES


def test_fewer_bits_take_less_and_leave_words_and_norms_as_they_are() -> None:
    qwen = entry("qwen")
    full, fp8, awq = (weights_bytes(qwen, CardArguments(quantization=each)) for each in (None, "fp8", "awq"))
    assert full - fp8 == qwen.architecture.quantizable_parameters
    assert 5.5e9 < awq < 5.6e9  # its published files hold 5.57 GB


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("card_gb", CARDS_GB)
def test_every_model_alone_fits_on_every_card_with_the_catalogues_arguments(name: str, card_gb: int) -> None:
    found = reckon([entry(name)], card_gb, Wish())
    assert found.fits and found.cards == (2 if card_gb == 16 and name != "qwen" else 1)


def test_a_cards_arguments_are_those_of_the_smallest_table_that_holds_it() -> None:
    deepseek = entry("deepseek")
    told = {gb: choose_arguments(deepseek, gb, Wish()) for gb in (12, 16, 16.5, 24, 24.1)}
    assert [(each.quantization, each.tensor_parallel_size) for each in told.values()] == [
        ("fp8", 2), ("fp8", 2), ("fp8", None), ("fp8", None), (None, None),
    ]  # fmt: skip


def test_a_wish_goes_before_the_catalogue_and_only_where_a_model_offers_it() -> None:
    assert choose_arguments(entry("deepseek"), 24, Wish(quantization="none")).quantization is None
    assert choose_arguments(entry("qwen"), 80, Wish(quantization="awq")).quantization == "awq"
    assert choose_arguments(entry("deepseek"), 24, Wish(quantization="awq")).quantization == "fp8"
    assert choose_arguments(entry("phi3"), 24, Wish(kv_cache_dtype="auto")).kv_cache_dtype == "auto"


def test_four_models_fit_on_the_largest_card_as_they_are_and_on_80_gb_with_fewer_bits() -> None:
    assert reckon(ENTRIES, 141, Wish()).fits
    assert not reckon(ENTRIES, 80, Wish()).fits and reckon(ENTRIES, 80, SMALL).fits


def test_what_would_fit_instead_is_said() -> None:
    assert remedies(ENTRIES, 80, Wish()) == [
        "fewer bits: --quantization fp8 --kv-cache-dtype fp8 needs 68.1 GB",
        "fewer models: --models fingpt,qwen needs 50.4 GB",
        "another card: --gpu 141",
        "more cards: --tensor-parallel 2, each model on 2 cards of 80 GB",
    ]
    assert remedies([entry("qwen")], 14, Wish()) == [
        "fewer bits: --kv-cache-dtype fp8 needs 13.1 GB",
        "another card: --gpu 16",
        "more cards: --tensor-parallel 2, each model on 2 cards of 14 GB",
    ]


def test_a_model_that_so_many_cards_cannot_share_is_named() -> None:
    with pytest.raises(PlanError, match="qwen: 28 attention heads cannot be shared by 8 cards: give --tensor-parallel"):
        reckon(ENTRIES, 80, Wish(tensor_parallel_size=8))


def test_what_latent_attention_keeps_lies_whole_on_every_card() -> None:
    one, two = (reckon([entry("deepseek")], 80, Wish(tensor_parallel_size=cards)).needs[0] for cards in (1, 2))
    assert one.kv_cache_bytes == two.kv_cache_bytes and two.weights_bytes * 2 == one.weights_bytes
    assert reckon([entry("phi3")], 80, Wish(tensor_parallel_size=2)).needs[0].kv_cache_bytes * 2 == 16 * 4_096 * 393_216


def test_files_that_must_be_prepared_first_are_named() -> None:
    assert reckon([entry("qwen")], 80, Wish("awq")).needs[0].other_files == "Qwen/Qwen2.5-Coder-7B-Instruct-AWQ"
    assert reckon([entry("qwen")], 80, Wish("fp8")).needs[0].other_files is None


@given(SUBSETS, st.floats(1, 2_000), WISHES)
def test_shares_cover_the_needs_and_never_exceed_the_card_where_they_fit(
    entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish
) -> None:
    found = reckon(entries, gpu_gb, wish)
    shares = [found.share(need) for need in found.needs]
    assert all(share * gpu_gb * GB >= need.total_bytes * (1 - 1e-9) for share, need in zip(shares, found.needs, strict=True))
    if found.fits:
        assert sum(shares) <= CARD_SHARE_MAX + len(shares) / 1_000
        assert found.plan().models.keys() == {each.name for each in entries}


@given(SUBSETS, st.floats(1, 2_000), WISHES)
def test_what_fits_also_fits_with_more_room_and_fewer_bits(entries: Sequence[ModelEntry], gpu_gb: float, wish: Wish) -> None:
    fixed = Wish(wish.quantization or "none", wish.kv_cache_dtype or "auto", wish.tensor_parallel_size or 1)
    if reckon(entries, gpu_gb, fixed).fits:
        assert reckon(entries, gpu_gb * 1.5, fixed).fits
        assert reckon(entries, gpu_gb, Wish(fixed.quantization, "fp8", fixed.tensor_parallel_size)).fits


@settings(max_examples=40)
@given(SUBSETS, st.floats(4, 150))
def test_every_remedy_is_one(entries: Sequence[ModelEntry], gpu_gb: float) -> None:
    by_name = {each.name: each for each in entries}
    for text in remedies(entries, gpu_gb, Wish()):
        models = re.search(r"--models (\S+)", text)
        card, cards = re.search(r"--gpu (\d+)", text), re.search(r"--tensor-parallel (\d)", text)
        wish = Wish(
            "fp8" if "--quantization fp8" in text else None,
            "fp8" if "--kv-cache-dtype fp8" in text else None,
            int(cards[1]) if cards else None,
        )
        chosen = [by_name[name] for name in models[1].split(",")] if models else entries
        assert reckon(chosen, float(card[1]) if card else gpu_gb, wish).fits, text


@pytest.mark.parametrize(
    "given_numbers",
    [
        {"kv_heads": 4},
        {"head_size": 4},
        {},
        {"kv_heads": 4, "head_size": 4, "latent_size": 4},
        {"kv_heads": 4, "latent_size": 4},
        {"latent_size": 4, "quantizable_parameters": 101},
    ],
)
def test_an_architecture_has_one_kind_of_cache(given_numbers: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match=r"give kv_heads and head_size, or latent_size|must be at most parameters"):
        Architecture(**{"parameters": 100, "quantizable_parameters": 90, "layers": 1, "attention_heads": 1} | given_numbers)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('[gpu.16]\nquantization = "fp8"', '[gpu.16]\nquantization = "awq"', "gpu.16.quantization: awq needs weights.id"),
        ("[quantizations.fp8]", "# none", "gpu.16.quantization: fp8 is not among quantizations"),
        ("[gpu.16]", "[gpu.sixteen]", "gpu.sixteen"),
        ("[gpu.16]", "[gpu.016]", "gpu.016"),
    ],
)
def test_a_quantization_that_nobody_could_serve_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (CATALOGUE / "qwen.toml").read_text()
    assert old in text
    (tmp_path / "qwen.toml").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        load_catalogue(tmp_path)
