"""The stand-ins' tokenizer: byte-level, some 600 tokens, digits single, the answer's fixed pieces whole."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from deciders.summary import summarise
from deploy.stand_ins.questions import Taught, ask_text
from deploy.stand_ins.samples import histories, samples
from deploy.stand_ins.teacher import LABELS, RULES, answer, words_of

SIZE = 640
END, SYSTEM, USER, ASSISTANT = "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
# Whole pieces of the answer: each saves five to eight steps of generation, which is what an answer costs.
PIECES = ('{"action":"', '","size_percent":', ',"stop_percent":', ',"target_percent":', ',"rationale":"', '"}')
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CORPUS_SAMPLES = 1_500


def build(taught: list[Taught]) -> PreTrainedTokenizerFast:
    """The tokenizer of all stand-ins, from what they are asked and answer; the same one every time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(PIECES),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[END, SYSTEM, USER, ASSISTANT],
    )
    tokenizer.train_from_iterator(_corpus(taught), trainer)
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in PIECES])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, model_max_length=2_048)
    fast.chat_template = CHAT_TEMPLATE
    _check(fast)
    return fast


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    tokenizer.save_pretrained(folder)


def _corpus(taught: list[Taught]) -> Iterator[str]:
    chance = random.Random("corpus")
    markets = samples(chance, histories())
    for _ in range(CORPUS_SAMPLES):
        one = next(markets)
        model = chance.choice(taught)
        words = words_of(summarise(one.sight))
        yield ask_text(model, one)
        text = answer(RULES[model.name], words, chance.choice(LABELS))
        for piece in PIECES:
            text = text.replace(piece, "\n")
        yield from text.split("\n")


def _check(tokenizer: PreTrainedTokenizerFast) -> None:
    split = {label: tokenizer.encode(label, add_special_tokens=False) for label in LABELS}
    if any(len(ids) != 1 for ids in split.values()):
        raise SystemExit(f"a label is more than one token: {split}; raise CORPUS_SAMPLES or SIZE")
