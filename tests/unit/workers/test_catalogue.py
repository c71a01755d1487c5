"""The catalogue refuses what is not exactly what it lists, and says which file, which field, and what to do."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from deciders.identity import Identity, generation_key
from deciders.prompt import Prompt
from schemas.catalogue import ModelEntry
from workers.catalogue import CatalogueError, Served, load_catalogue, serve

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "models"
NAMES = ("deepseek", "fingpt", "phi3", "qwen")
DAY_MS = 86_400_000
OWN_BYTES_A_TOKEN = 2  # of the template's own words; plain English takes about four
SYMBOL_TOKENS_MAX, SUMMARY_TOKENS_MAX = 64, 260  # a token a character, at their longest
MARKS_TOKENS = 16  # a chat's own marks, and the answer's head


@pytest.fixture(scope="module")
def catalogue() -> dict[str, ModelEntry]:
    return load_catalogue(FOLDER)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The catalogue with Phi-3's stand-in alone, to be spoiled."""
    shutil.copy(FOLDER / "phi3.toml", tmp_path)
    shutil.copytree(FOLDER / "stand_ins" / "phi3", tmp_path / "stand_ins" / "phi3")
    return tmp_path


def served(folder: Path) -> Served:
    return serve(load_catalogue(folder)["phi3"], folder, None)


def real(entry: ModelEntry) -> Identity:
    """What the generations of its own weights are known by."""
    return Served(entry, entry, FOLDER, None, stand_in=False).identity


def test_the_four_models_are_there_with_what_their_makers_and_the_contract_say(catalogue: dict[str, ModelEntry]) -> None:
    assert tuple(catalogue) == NAMES
    assert [catalogue[name].concurrency for name in NAMES] == [16, 12, 16, 8]
    assert [catalogue[name].engine.context_tokens for name in NAMES] == [4096, 2048, 4096, 8192]
    assert catalogue["fingpt"].adapter is not None and catalogue["fingpt"].template.format == "plain"


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_context_holds_question_and_answer_fit_the_model(catalogue: dict[str, ModelEntry], name: str) -> None:
    # Numbers come to a token a digit in all four vocabularies, and characters that none of them knows to one a byte.
    entry = catalogue[name]
    for serving in (entry, entry.stand_in):
        template, engine = serving.template, serving.engine
        own_words = len((template.system + template.user).encode()) // OWN_BYTES_A_TOKEN
        told = SYMBOL_TOKENS_MAX + SUMMARY_TOKENS_MAX + template.context_chars_max
        assert own_words + told + MARKS_TOKENS + engine.answer_tokens_max <= engine.context_tokens


def test_every_stand_in_is_the_one_of_the_catalogues_digests(catalogue: dict[str, ModelEntry]) -> None:
    served = [serve(entry, FOLDER, None) for entry in catalogue.values()]
    for each in served:
        each.verify()  # raises, naming the file, where one byte differs
    assert all(each.stand_in and each.serving.weights.files for each in served)


def test_all_stand_ins_together_are_small_enough_to_be_shipped() -> None:
    files = [path for path in (FOLDER / "stand_ins").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 8 << 20
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jinja"}


def test_real_weights_are_served_where_they_lie_and_refused_until_their_digests_are_known(
    catalogue: dict[str, ModelEntry], tmp_path: Path
) -> None:
    (tmp_path / "qwen").mkdir()
    real = serve(catalogue["qwen"], FOLDER, tmp_path)
    assert not real.stand_in and real.directory == tmp_path / "qwen"
    with pytest.raises(CatalogueError, match=r"qwen: .* no digests .* sha256 under \[weights.files\]"):
        real.verify()
    assert serve(catalogue["phi3"], FOLDER, tmp_path).stand_in


def test_a_changed_file_is_refused(copied: Path) -> None:
    with (copied / "stand_ins" / "phi3" / "model.safetensors").open("ab") as weights:
        weights.write(b"x")
    with pytest.raises(CatalogueError, match=r"phi3: .*model.safetensors is not the file of the catalogue's sha256"):
        served(copied).verify()


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "stand_ins" / "phi3" / "tokenizer.json").unlink()
    with pytest.raises(CatalogueError, match=r"tokenizer.json is missing"):
        served(copied).verify()


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "weights.pt", "sub/hook.so"])
def test_a_file_that_could_run_code_is_refused(copied: Path, name: str) -> None:
    path = copied / "stand_ins" / "phi3" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(CatalogueError, match=rf"{path.name} could run code when it is read; remove it"):
        served(copied).verify()


def test_a_file_nobody_listed_is_refused(copied: Path) -> None:
    (copied / "stand_ins" / "phi3" / "notes.json").write_text("{}")
    with pytest.raises(CatalogueError, match=r"notes.json is not in the catalogue"):
        served(copied).verify()


def test_a_config_that_names_code_is_refused_even_with_its_digest(copied: Path) -> None:
    config = copied / "stand_ins" / "phi3" / "config.json"
    before = hashlib.sha256(config.read_bytes()).hexdigest()
    config.write_text('{"auto_map": {"AutoModel": "modeling.Model"}}')
    entry = copied / "phi3.toml"
    entry.write_text(entry.read_text().replace(before, hashlib.sha256(config.read_bytes()).hexdigest()))
    with pytest.raises(CatalogueError, match=r"config.json names code to run \(auto_map\)"):
        served(copied).verify()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("concurrency = 16", "concurrency = 0", "phi3.toml: concurrency"),
        ("concurrency = 16", "speed = 16", "phi3.toml: concurrency"),
        ('directory = "phi3"', 'directory = "../phi3"', "phi3.toml: weights.directory"),
        ('name = "phi3"', 'name = "qwen"', "phi3.toml: name: must be the file's name"),
        ("{summary}", "{sumary}", "phi3.toml: template: .*unknown placeholder {sumary}"),
        ('name = "phi3"', "name = ", "phi3.toml: is not TOML"),
    ],
)
def test_a_mistake_in_a_file_is_named_by_file_and_field(copied: Path, old: str, new: str, message: str) -> None:
    path = copied / "phi3.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CatalogueError, match=message):
        load_catalogue(copied)


def test_an_empty_folder_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="TRADING_LLM_CATALOGUE"):
        load_catalogue(tmp_path)


def test_a_market_after_the_last_day_a_model_read_is_past_its_cutoff(catalogue: dict[str, ModelEntry]) -> None:
    phi3, midnight_ms = real(catalogue["phi3"]), 19_662 * DAY_MS  # 2023-11-01, the day after the cut-off
    assert (phi3.cutoff(midnight_ms - 1), phi3.cutoff(midnight_ms)) == ("in_window", "past_cutoff")
    assert real(catalogue["qwen"]).cutoff(midnight_ms) == "unknown"
    assert served(FOLDER).identity.cutoff(midnight_ms) == "unknown", "a stand-in has read nobody knows what"


def test_a_generations_key_tells_prompts_modes_models_and_adapters_apart(catalogue: dict[str, ModelEntry]) -> None:
    def key(name: str, text: str, mode: str) -> str:
        prompt = Prompt("Decide.", text)
        return generation_key(serve(catalogue[name], FOLDER, None).parts(prompt, "label" if mode == "label" else "full"))

    keys = [key(name, text, mode) for name in NAMES for text in "ab" for mode in ("full", "label")]
    assert len(set(keys)) == len(keys)
    assert key("qwen", "a", "full") == keys[-4]
