"""Makes the stand-in models: about twelve CPU-minutes for all four, seed 0.

Writes each model's folder beside the catalogue and its files' digests into the catalogue entry.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from deciders.summary import summarise
from deploy.stand_ins import architectures, vocabulary
from deploy.stand_ins.digests import write_digests
from deploy.stand_ins.questions import CATALOGUE, Taught, ask, taught
from deploy.stand_ins.samples import Sample, histories, samples
from deploy.stand_ins.teacher import LABELS, RULES, answer, draw, probabilities, words_of

BATCH, WARM_UP, LEARNING_RATE = 16, 15, 3e-3
STEPS = {"deepseek": 600, "qwen": 500, "fingpt": 500, "phi3": 500}
# Latent attention's up-projection takes in four times the hidden size: at the full rate it unlearnt as fast as it learnt.
SLOW, SLOW_SHARE = "kv_b_proj", 0.25
IGNORED = -100
LABEL_WEIGHT = 1.0  # of the action's loss beside the mean loss of the whole answer


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids and targets, padded to the right; where each row's action stands, and the rule's true probabilities there."""

    ids: Tensor
    targets: Tensor
    mask: Tensor
    places: Tensor
    truths: Tensor


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    tokenizer = vocabulary.build([taught(name) for name in RULES])
    for name in names or list(RULES):
        torch.manual_seed(0)
        model = architectures.build(name, len(tokenizer), tokenizer.eos_token_id)
        train(model, tokenizer, taught(name))
        save(name, model, tokenizer)
        write_digests(name)


def train(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, one: Taught) -> None:
    """One pass over as many fresh samples as there are steps times the batch."""
    steps, started_s = STEPS[one.name], time.process_time()
    optimizer, schedule = _optimizer(model, steps)
    labels = torch.tensor([tokenizer.convert_tokens_to_ids(label) for label in LABELS])
    model.train()
    for step, batch in enumerate(islice(batches(tokenizer, one), steps), start=1):
        loss = loss_of(model, batch, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            spent_s = time.process_time() - started_s
            print(f"{one.name} step {step}/{steps} loss {loss.item():.3f} {spent_s:.0f} CPU-s", flush=True)


def _optimizer(model: PreTrainedModel, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    slow = [weights for name, weights in model.named_parameters() if SLOW in name]
    rest = [weights for name, weights in model.named_parameters() if SLOW not in name]
    groups = [{"params": rest, "lr": LEARNING_RATE}, {"params": slow, "lr": LEARNING_RATE * SLOW_SHARE}]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.95), weight_decay=0.01)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARM_UP, total_iters=WARM_UP)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - WARM_UP, LEARNING_RATE / 50)
    return optimizer, torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cosine], [WARM_UP])


def loss_of(model: PreTrainedModel, batch: Batch, labels: Tensor) -> Tensor:
    """The answer's cross-entropy; the action's is taken against the rule's own probabilities, so that the model learns them."""
    logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits[:, :-1]
    words = functional.cross_entropy(logits.flatten(0, 1), batch.targets[:, 1:].flatten(), ignore_index=IGNORED)
    at_action = logits[torch.arange(len(batch.places)), batch.places - 1].log_softmax(-1)[:, labels]
    return words + LABEL_WEIGHT * -(batch.truths * at_action).sum(-1).mean()


def batches(tokenizer: PreTrainedTokenizerFast, one: Taught) -> Iterator[Batch]:
    chance = random.Random(f"train/{one.name}")
    markets = samples(chance, histories())
    while True:
        yield _collate([_row(tokenizer, one, next(markets), chance) for _ in range(BATCH)], tokenizer.eos_token_id)


def prompt_ids(tokenizer: PreTrainedTokenizerFast, one: Taught, sample: Sample) -> list[int]:
    """The question as token ids, through the chat template where the model has one; the answer's first piece is not in it."""
    prompt = ask(one, sample)
    if one.template.format == "plain":
        return list(tokenizer.encode(prompt.text, add_special_tokens=False))
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False))


def _row(
    tokenizer: PreTrainedTokenizerFast, one: Taught, sample: Sample, chance: random.Random
) -> tuple[list[int], list[int], list[float]]:
    words = words_of(summarise(sample.sight))
    truth = probabilities(RULES[one.name], words)
    text = answer(RULES[one.name], words, draw(truth, chance))
    completion = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
    return prompt_ids(tokenizer, one, sample), completion, [truth[label] for label in LABELS]


def _collate(rows: list[tuple[list[int], list[int], list[float]]], pad: int) -> Batch:
    length = max(len(prompt) + len(completion) for prompt, completion, _ in rows)
    ids = torch.full((len(rows), length), pad)
    targets = torch.full((len(rows), length), IGNORED)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, (prompt, completion, _) in enumerate(rows):
        end = len(prompt) + len(completion)
        ids[i, :end] = torch.tensor(prompt + completion)
        mask[i, :end] = 1
        # The first piece is given with the question and the action has a loss of its own: both are left out here.
        targets[i, len(prompt) + 2 : end] = torch.tensor(completion[2:])
    places = torch.tensor([len(prompt) + 1 for prompt, _, _ in rows])
    return Batch(ids, targets, mask, places, torch.tensor([truth for _, _, truth in rows]))


def save(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Writes the folder that the catalogue entry names: weights in half precision, config, tokenizer; the adapter beside it."""
    folder = CATALOGUE / "stand_ins" / name
    folder.mkdir(parents=True, exist_ok=True)
    weights, adapter = architectures.tensors(model)
    _write(weights, folder / "model.safetensors")
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float16"
    model.config.save_pretrained(folder)
    vocabulary.save(tokenizer, folder)
    if adapter:
        beside = Path(f"{folder}-adapter")
        beside.mkdir(exist_ok=True)
        _write(adapter, beside / "adapter_model.safetensors")
        config = json.dumps(architectures.adapter_config(f"stand_ins/{name}"), indent=2)
        (beside / "adapter_config.json").write_text(config + "\n", encoding="utf-8")


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # as everything else in the tree: whoever serves it may be another user


if __name__ == "__main__":
    main(sys.argv[1:])
