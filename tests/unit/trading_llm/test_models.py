"""The models from the command line: listed, prepared, verified, and planned for a card."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backbone.settings import REPOSITORY
from tests.unit.workers import snapshots
from tests.unit.workers.snapshots import COMMIT, entry
from trading_llm.cli import app
from workers.gpu_plan import read_plan

pytestmark = pytest.mark.unit


class Machine:
    """A machine with a catalogue of its own and a place for real weights."""

    def __init__(self, root: Path) -> None:
        self.root, self.weights = root, root / "weights"
        self.catalogue = snapshots.copied_catalogue(root / "catalogue")
        (self.catalogue / "stand_ins").symlink_to(snapshots.CATALOGUE / "stand_ins")
        environment = {"TRADING_LLM_CATALOGUE": str(self.catalogue), "TRADING_LLM_WEIGHTS": str(self.weights)}
        self.runner = CliRunner(env=environment | {"STATE_DIR": str(root / "nothing")})

    def run(self, *arguments: str, **environment: str | None) -> Result:
        return self.runner.invoke(app, ["models", *arguments], env=environment)

    def prepare(self, folder: Path, model: str, *more: str) -> Result:
        return self.run("prepare", str(folder), "--model", model, "--revision", COMMIT, *more)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def rows(result: Result) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(result.stdout)}


def test_the_models_are_listed_with_what_is_served(machine: Machine) -> None:
    phi3 = rows(machine.run("list", "--json"))["phi3"]
    assert phi3.pop("disk_bytes") > 1_000_000
    assert phi3 == {
        "name": "phi3",
        "id": "microsoft/Phi-3-mini-128k-instruct",
        "revision": "unprepared",
        "adapter": None,
        "served": "trading-llm/stand-in-phi3",
        "stand_in": True,
        "license": "MIT",
        "gated": False,
        "context_tokens": 4096,
        "concurrency": 16,
        "knowledge_cutoff": "2023-10-31",
    }
    table = machine.run("list").stdout
    assert all(word in table for word in ("deepseek", "stand-in", "unprepared", "Apache-2.0", "8192", "2022-09-30", "MiB"))


def test_context_and_concurrency_are_those_that_were_promised(machine: Machine) -> None:
    found = rows(machine.run("list", "--json"))
    promised = {"deepseek": (4096, 16), "qwen": (8192, 8), "fingpt": (2048, 12), "phi3": (4096, 16)}
    assert {name: (row["context_tokens"], row["concurrency"]) for name, row in found.items()} == promised


def test_a_prepared_model_is_served_and_verified(machine: Machine) -> None:
    folder = snapshots.model(machine.root / "snapshot", entry("phi3"))
    done = machine.prepare(folder, "phi3")
    assert done.exit_code == 0, done.output
    assert f"phi3: 7 files of microsoft/Phi-3-mini-128k-instruct lie in {machine.weights / 'phi3'}" in done.stdout
    assert "licence: MIT" in done.stdout and "skipped: .gitattributes, README.md, modeling.py" in done.stdout
    row = rows(machine.run("list", "--json"))["phi3"]
    assert (row["stand_in"], row["revision"], row["served"]) == (False, COMMIT, "microsoft/Phi-3-mini-128k-instruct")
    verified = machine.run("verify", "phi3")
    assert verified.exit_code == 0 and verified.stdout.count("ok ") == 7
    assert "real" in machine.run("list").stdout


def test_a_difference_is_named_with_the_file_and_the_remedy_and_every_other_file_is_told(machine: Machine) -> None:
    machine.prepare(snapshots.model(machine.root / "snapshot", entry("phi3")), "phi3")
    with (machine.weights / "phi3" / "tokenizer.model").open("ab") as opened:
        opened.write(b"x")
    (machine.weights / "phi3" / "extra.json").write_text("{}")
    result = machine.run("verify", "phi3")
    assert result.exit_code == 1
    assert (result.stdout.count("ok "), result.stdout.count("wrong ")) == (6, 2)
    assert "tokenizer.model is not the file of the catalogue's sha256; fetch microsoft/Phi-3" in result.stderr
    assert "extra.json is not in the catalogue; remove it" in result.stderr
    told = machine.run("verify", "phi3", "--json")
    document = json.loads(told.stdout)
    assert told.exit_code == 1 and document["holds"] is False
    assert [row["flaw"] is None for row in document["files"]] == [row["holds"] for row in document["files"]]


def test_all_models_are_verified_where_none_is_named(machine: Machine) -> None:
    result = machine.run("verify", "--json")
    assert result.exit_code == 0
    assert {row["model"] for row in json.loads(result.stdout)["files"]} == {"deepseek", "fingpt", "phi3", "qwen"}


def test_a_folder_that_nobody_prepared_is_a_difference(machine: Machine) -> None:
    (machine.weights / "qwen").mkdir(parents=True)
    result = machine.run("verify", "qwen")
    assert result.exit_code == 1 and "prepare it (`trading-llm models prepare`)" in result.stderr


def test_a_model_whose_adapter_is_not_prepared_is_a_difference_until_it_is(machine: Machine) -> None:
    done = machine.prepare(snapshots.model(machine.root / "base", entry("fingpt")), "fingpt", "--accept-license")
    assert "next: prepare its adapter, FinGPT/fingpt-mt_llama2-7b_lora" in done.stdout
    missing = machine.run("verify", "fingpt")
    assert missing.exit_code == 1 and "fingpt-adapter is missing; fetch FinGPT/fingpt-mt_llama2-7b_lora again" in missing.stderr
    done = machine.prepare(snapshots.adapter(machine.root / "adapter"), "fingpt", "--json")
    assert json.loads(done.stdout)["part"] == "adapter" and set(json.loads(done.stdout)["files"]) == {
        "adapter_config.json", "adapter_model.safetensors",
    }  # fmt: skip
    assert machine.run("verify", "fingpt").exit_code == 0


def test_a_licence_that_must_be_accepted_is_named_and_nothing_is_done_without(machine: Machine) -> None:
    folder = snapshots.model(machine.root / "base", entry("fingpt"))
    result = machine.prepare(folder, "fingpt")
    assert result.exit_code == 1 and not machine.weights.exists()
    assert "meta-llama/Llama-2-7b-hf is handed out to who accepted its licence (Llama 2 Community License" in result.stderr
    assert "--accept-license" in result.stderr


@pytest.mark.parametrize("revision", ["main", "v1.0", "", COMMIT[:7], COMMIT.upper(), COMMIT + "\n"])
def test_what_is_no_commit_pins_nothing(machine: Machine, revision: str) -> None:
    result = machine.run("prepare", str(machine.root), "--model", "phi3", "--revision", revision)
    assert result.exit_code == 2 and "is no commit (40 hexadecimal digits): a branch or a tag can move" in result.stderr


def test_a_place_for_weights_has_to_be_named(machine: Machine) -> None:
    result = machine.run("prepare", "x", "--model", "phi3", "--revision", COMMIT, TRADING_LLM_WEIGHTS=None)
    assert result.exit_code == 2 and "TRADING_LLM_WEIGHTS is not set" in result.stderr


def test_what_is_odd_ends_with_1_and_one_clear_line(machine: Machine) -> None:
    folder = snapshots.model(machine.root / "snapshot", entry("phi3"))
    (folder / "model-00002-of-00002.safetensors").unlink()
    result = machine.prepare(folder, "phi3")
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert "names model-00002-of-00002.safetensors, which is not beside it; fetch the repository again, whole" in result.stderr


def test_a_folder_that_may_not_be_written_is_named(machine: Machine) -> None:
    machine.weights.write_text("a file")
    result = machine.prepare(snapshots.model(machine.root / "snapshot", entry("phi3")), "phi3")
    assert result.exit_code == 1 and str(machine.weights) in result.stderr


def test_a_plan_prints_the_formula_and_each_share(machine: Machine) -> None:
    result = machine.run("plan", "--gpu", "141")
    assert result.exit_code == 0
    assert "need on a card = weights + key-value cache + allowance" in result.stdout
    assert "fits: 122.2 GB needed, 133.9 usable of 141" in result.stdout
    assert "0.255" in result.stdout and result.stderr == ""
    small = machine.run("plan", "--gpu", "141", "--quantization", "fp8")
    assert small.exit_code == 0 and "fp8 wants a card of the generations Ada and Hopper" in small.stderr


def test_what_does_not_fit_ends_with_1_and_what_would_and_writes_nothing(machine: Machine) -> None:
    path = machine.root / "gpu.json"
    result = machine.run("plan", "--gpu", "80", "--models", "all", "--write", str(path))
    assert result.exit_code == 1 and not path.exists()
    assert "does not fit: 122.2 GB needed, 76.0 usable of 80. What would:" in result.stderr
    assert "fewer bits: --quantization fp8 --kv-cache-dtype fp8 needs 68.1 GB" in result.stderr
    assert json.loads(machine.run("plan", "--gpu", "80", "--json").stdout)["instead"]


def test_where_nothing_that_is_known_would_fit_that_is_said(machine: Machine) -> None:
    file = machine.catalogue / "qwen.toml"
    text = file.read_text().replace("parameters = 7_615_616_512", "parameters = 7_615_616_512_000")
    file.write_text(text.replace("attention_heads = 28", "attention_heads = 1"))
    result = machine.run("plan", "--gpu", "80", "--models", "qwen")
    assert result.exit_code == 1 and "What would:\n  nothing that is known here: choose a larger card" in result.stderr


def test_a_plan_that_fits_is_written_for_the_workers(machine: Machine) -> None:
    path = machine.root / "gpu.json"
    small = ("--quantization", "fp8", "--kv-cache-dtype", "fp8")
    result = machine.run("plan", "--gpu", "80", "--models", "phi3,qwen,phi3", *small, "--write", str(path), "--json")
    assert result.exit_code == 0 and f"TRADING_LLM_GPU_PLAN={path} make up" in result.stderr
    written, told = read_plan(path), json.loads(result.stdout)
    assert list(written.models) == ["phi3", "qwen"] and told["fits"] is True
    for name, share in written.models.items():
        part = told["models"][name]
        assert {key: part[key] for key in part.keys() & share.model_dump().keys()}.items() <= share.model_dump().items()


def test_a_plan_for_files_that_are_not_served_is_told_and_not_written(machine: Machine) -> None:
    path = machine.root / "gpu.json"
    asked = ("plan", "--gpu", "16", "--models", "qwen", "--quantization", "awq")
    told = machine.run(*asked)
    assert told.exit_code == 0 and "qwen needs other files for this: Qwen/Qwen2.5-Coder-7B-Instruct-AWQ" in told.stderr
    refused = machine.run(*asked, "--write", str(path))
    assert refused.exit_code == 1 and not path.exists() and "qwen has no awq files: put Qwen/" in refused.stderr


def test_the_plan_that_the_readme_shows_fits(machine: Machine) -> None:
    (shown,) = re.findall(r"trading-llm models (plan .*) --write gpu.json", (REPOSITORY / "README.md").read_text())
    assert machine.run(*shown.split()).exit_code == 0


@pytest.mark.parametrize(
    ("place", "why"),
    [("no/gpu.json", "No such file or directory"), ("file/gpu.json", "Not a directory"), ("", "is a folder: name a file in it")],
)
def test_a_plan_that_cannot_be_written_is_wrong_use(machine: Machine, place: str, why: str) -> None:
    (machine.root / "file").write_text("a file")
    result = machine.run("plan", "--gpu", "141", "--write", str(machine.root / place) if place else ".")
    assert result.exit_code == 2 and why in result.stderr
