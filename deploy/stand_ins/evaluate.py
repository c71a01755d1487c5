"""Examines the stand-ins as they are served, on questions they never saw: `python -m deploy.stand_ins.evaluate`.

Prints one line a model: agreement with the rule's own choice, agreement with a noisy draw and its ceiling, valid answers,
answers word for word the teacher's, label mode equal to full mode, calibration error, share that a threshold of 0.7 lets
through, seconds to start and answers a second.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass

from deciders.answer import Answer, AnswerMode, Asked, RawAnswer, read_answer
from deciders.summary import summarise
from deploy.stand_ins.questions import CATALOGUE, ask, taught
from deploy.stand_ins.samples import Sample, histories, samples
from deploy.stand_ins.teacher import RULES, answer, draw, probabilities, words_of
from workers.catalogue import load_catalogue, serve
from workers.engine import Ask, Engine, build_engine, prepare_environment

QUESTIONS = 200
THRESHOLD = 0.7
BINS = 10
HEADINGS = ("model", "rule", "drawn", "ceiling", "valid", "exact", "label", "ECE", "passed", "start s", "full/s", "label/s")


@dataclass(frozen=True, slots=True)
class Examined:
    """One question with the rule's truth about it and the model's answers in both modes."""

    sample: Sample
    truth: dict[str, float]
    drawn: str
    full: RawAnswer
    label: RawAnswer

    def read(self) -> Answer | None:
        read = read_answer(self.full, Asked(self.sample.symbol, self.sample.sight.price, "full", 0.01))
        return read if isinstance(read, Answer) else None


def main(names: list[str]) -> None:
    """One process a model: an engine's environment is set once in a process."""
    if len(names) == 1:
        print(*asyncio.run(examine(names[0])), sep="\t", flush=True)
        return
    print(*HEADINGS, sep="\t", flush=True)
    for name in names or list(RULES):
        subprocess.run([sys.executable, "-m", "deploy.stand_ins.evaluate", name], check=True, stderr=subprocess.DEVNULL)


async def examine(name: str) -> list[str]:
    """One row of the table."""
    served = serve(load_catalogue(CATALOGUE)[name], CATALOGUE, None)
    prepare_environment("vllm", served)
    began_s = time.monotonic()
    engine = build_engine("vllm", served)
    await engine.start()
    ready_s = time.monotonic() - began_s
    chance = random.Random(f"examination/{name}")
    asked = [sample for sample, _ in zip(samples(chance, histories()), range(QUESTIONS), strict=False)]
    full, full_s = await _ask_all(engine, name, asked, "full")
    label, label_s = await _ask_all(engine, name, asked, "label")
    await engine.stop()
    seen = [_examined(name, *one, chance) for one in zip(asked, full, label, strict=True)]
    return [name, *_row(name, seen), f"{ready_s:.1f}", f"{QUESTIONS / full_s:.0f}", f"{QUESTIONS / label_s:.0f}"]


async def _ask_all(engine: Engine, name: str, asked: list[Sample], mode: AnswerMode) -> tuple[list[RawAnswer], float]:
    model, began_s = taught(name), time.monotonic()
    asks = [Ask(f"{mode}-{number}", ask(model, sample), mode) for number, sample in enumerate(asked)]
    return list(await asyncio.gather(*map(engine.ask, asks))), time.monotonic() - began_s


def _examined(name: str, sample: Sample, full: RawAnswer, label: RawAnswer, chance: random.Random) -> Examined:
    truth = probabilities(RULES[name], words_of(summarise(sample.sight)))
    return Examined(sample, truth, draw(truth, chance), full, label)


def _row(name: str, seen: list[Examined]) -> list[str]:
    read = [(one, said) for one in seen if (said := one.read()) is not None]
    shares = (
        sum(said.proposed.action == max(one.truth, key=one.truth.__getitem__) for one, said in read),
        sum(said.proposed.action == one.drawn for one, said in read),
        sum(max(one.truth.values()) for one in seen),
        len(read),
        sum(one.full.text == _teachers(name, one, said) for one, said in read),
        sum(one.label.text == said.proposed.action for one, said in read),
        _calibration_error(read) * len(seen),
        sum(said.proposed.action == "HOLD" or said.confidence >= THRESHOLD for _, said in read),
    )
    return [f"{share / len(seen):.3f}" for share in shares]


def _teachers(name: str, one: Examined, said: Answer) -> str:
    return answer(RULES[name], words_of(summarise(one.sample.sight)), said.proposed.action.value)


def _calibration_error(read: list[tuple[Examined, Answer]]) -> float:
    """How far confidence is from the true probability of the chosen action, over bins of confidence, by their size."""
    total = 0.0
    for number in range(BINS):
        held = [(one, said) for one, said in read if min(BINS - 1, int(said.confidence * BINS)) == number]
        total += abs(sum(said.confidence - one.truth[said.proposed.action.value] for one, said in held))
    return total / len(read)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1:])
