"""Whether the stand-ins' label probabilities are those of their teachers: `python -m deploy.stand_ins.calibrate`.

Questions are drawn with a seed of their own, in `label` mode; with `--candles FOLDER` their candles are those of all CSV files
there that the stand-ins were not taught on. The truth of each is known: the teacher's rule and the noise it was given. Prints
one line a model, and draws a reliability diagram of all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deciders.answer import LABELS, label_probs
from deciders.summary import summarise
from deploy.stand_ins.calibration import Bin, Claim, bins, calibration_error
from deploy.stand_ins.questions import CATALOGUE, ask, taught
from deploy.stand_ins.samples import FILES, MARKET_DATA, Sample, histories, samples
from deploy.stand_ins.teacher import RULES, probabilities, words_of
from workers.catalogue import load_catalogue, serve
from workers.engine import Ask, build_engine, prepare_environment

QUESTIONS = 2_000
PLOT = Path(__file__).resolve().parents[2] / "docs" / "calibration.png"
HEADINGS = ("model", "questions", "ECE, all labels", "ECE, the chosen one", "given", "true")
MODEL_S_MAX = 600


def main(arguments: Sequence[str]) -> None:
    """Ask every model, one process each: an engine's environment is set once in a process."""
    asked = _asked(arguments)
    if asked.model:
        json.dump(asyncio.run(_claims(asked.model, asked.questions, asked.candles)), sys.stdout)
        return
    print(*HEADINGS, sep="\t", flush=True)
    claims = {}
    for name in RULES:
        claims[name] = [[Claim(*each) for each in one] for one in _in_a_process(name, arguments)]
        print(name, *_row(claims[name]), sep="\t", flush=True)
    draw(claims, asked.out)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.stand_ins.calibrate", description=__doc__)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help=f"for each model (default: {QUESTIONS})")
    parser.add_argument(
        "--candles", type=Path, help="a folder of other candle files (default: those of the teaching, drawn anew)"
    )
    parser.add_argument("--out", type=Path, default=PLOT, help=f"the diagram (default: {PLOT.name} in docs)")
    parser.add_argument("--model", choices=sorted(RULES), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _in_a_process(name: str, arguments: Sequence[str]) -> Any:
    command = [sys.executable, "-m", "deploy.stand_ins.calibrate", *arguments, "--model", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=MODEL_S_MAX)
    return json.loads(done.stdout)


async def _claims(name: str, questions: int, candles: Path | None) -> list[list[Claim]]:
    """What the model gave each label of each question, and what its teacher gives it."""
    drawn = samples(random.Random(f"calibration/{name}"), _histories(candles))
    asked = [sample for sample, _ in zip(drawn, range(questions), strict=False)]
    served = serve(load_catalogue(CATALOGUE)[name], CATALOGUE, None)
    prepare_environment("vllm", served)
    engine = build_engine("vllm", served)
    await engine.start()
    asks = [Ask(str(number), ask(taught(name), sample), "label") for number, sample in enumerate(asked)]
    answers = await asyncio.gather(*map(engine.ask, asks))
    await engine.stop()
    return [_of(name, *each) for each in zip(asked, (label_probs(answer.label_logprobs) for answer in answers), strict=True)]


def _histories(candles: Path | None) -> Any:
    if candles is None:
        return histories(MARKET_DATA, FILES)
    return histories(candles, sorted(file.name for file in candles.glob("*.csv") if file.name not in FILES))


def _of(name: str, sample: Sample, given: Any) -> list[Claim]:
    true = probabilities(RULES[name], words_of(summarise(sample.sight)))
    return [Claim(getattr(given, label), true[label]) for label in LABELS]


def _row(claims: list[list[Claim]]) -> list[str]:
    chosen = [max(one) for one in claims]
    every = [claim for one in claims for claim in one]
    means = (sum(each.given for each in chosen) / len(chosen), sum(each.true for each in chosen) / len(chosen))
    return [str(len(claims)), *(f"{each:.3f}" for each in (calibration_error(every), calibration_error(chosen), *means))]


def draw(claims: dict[str, list[list[Claim]]], out: Path) -> None:
    """A panel a model: the mean of the true probability over that of the given one, in tenths; the area of a dot is its count."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(claims), figsize=(4 * len(claims), 4.4), sharey=True)
    for panel, (name, of) in zip(panels, claims.items(), strict=True):
        every = bins([claim for one in of for claim in one])
        chosen = bins([max(one) for one in of])
        panel.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="as the teacher")
        _dots(panel, every, "#1f6feb", "every label")
        _dots(panel, chosen, "#c2410c", "the chosen label")
        ceiling = sum(max(claim.true for claim in one) for one in of) / len(of)
        panel.axhline(ceiling, color="#15803d", linestyle=":", linewidth=1, label=f"best label's mean, {ceiling:.2f}")
        panel.set_title(f"{name}: ECE {calibration_error([claim for one in of for claim in one]):.3f}, {len(of):,} questions")
        panel.set_xlabel("probability that the model gives")
        panel.legend(loc="upper left", fontsize="small", markerscale=0.5)
    panels[0].set_ylabel("true probability, by the teacher's noise")
    figure.tight_layout()
    figure.savefig(out, dpi=90)


def _dots(panel: Any, of: list[Bin], colour: str, label: str) -> None:
    most = max(each.count for each in of)
    areas = [20 + 180 * each.count / most for each in of]
    panel.scatter([each.given for each in of], [each.true for each in of], s=areas, color=colour, alpha=0.7, label=label)
    for each in of if label == "the chosen label" else ():
        panel.annotate(f"{each.count:,}", (each.given, each.true), textcoords="offset points", xytext=(6, -12), fontsize=7)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1:])
