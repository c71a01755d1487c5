"""A tokenizer for models whose own is not at hand: byte-level, digits single as theirs, trained on this tree's own text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from deploy.local.kafka_node import REPOSITORY
from deploy.stand_ins.vocabulary import ASSISTANT, CHAT_TEMPLATE, END, SYSTEM, USER

SIZE = 8_000  # three to four letters of English a token, about as theirs; a digit is a token, as Qwen's is
TEXTS = ("deploy/models/*.toml", "*.md", "docs/*.md", "*/*.py")


def save(folder: Path) -> None:
    """Train it (some seconds) and write it as a model's folder has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        special_tokens=[END, SYSTEM, USER, ASSISTANT],
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, model_max_length=131_072)
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)


def _texts() -> Iterator[str]:
    for pattern in TEXTS:
        for path in sorted(REPOSITORY.glob(pattern)):
            yield path.read_text(encoding="utf-8")
