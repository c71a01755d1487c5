"""A sample as the model sees it: rendered by the project's own renderer, through the catalogue's own template."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from deciders.prompt import Prompt, fill, summary_text
from deciders.summary import duration
from deploy.stand_ins.samples import Sample
from schemas.catalogue import Template

CATALOGUE = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True, slots=True)
class Taught:
    """One stand-in to make: its name and the template of its catalogue entry."""

    name: str
    template: Template


def taught(name: str) -> Taught:
    """What the catalogue says of how this stand-in is asked."""
    entry = tomllib.loads((CATALOGUE / f"{name}.toml").read_text(encoding="utf-8"))
    return Taught(name, Template.model_validate(entry["stand_in"]["template"]))


def ask(model: Taught, sample: Sample) -> Prompt:
    blanks = {"symbol": sample.symbol, "summary": summary_text(sample.sight), "horizon": duration(sample.sight.horizon_s)}
    return Prompt(model.template.system, fill(model.template.user, blanks))


def ask_text(model: Taught, sample: Sample) -> str:
    return ask(model, sample).text
