"""What a server with OpenAI's interface is asked so that it computes the very tokens of our own worker, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from deciders.answer import ANSWER_HEAD, ANSWER_TAIL, LABELS
from deciders.identity import SAMPLING
from tests.bench.contexts import Message, messages
from tests.bench.peer_generate import prompts
from workers.catalogue import Served


def questions(served: Served, first: int, count: int, *, probable: bool = False) -> Iterator[Message]:
    """These contexts as requests, rendered beforehand: who sends them has that for nothing.

    `probable`: the probabilities of as many tokens as there are labels are asked for, too, as ours always are.
    """
    name = served.entry.name
    assert served.serving.template.format == "chat", f"{name} is asked without a chat template: no such server asks it alike"
    more = {"logprobs": True, "top_logprobs": len(LABELS)} if probable else {}
    for message, prompt in zip(messages(first, count), prompts(served, first, count), strict=True):
        spoken = (("system", prompt.system), ("user", prompt.user), ("assistant", ANSWER_HEAD))
        body = {
            "model": name,
            "messages": [{"role": role, "content": content} for role, content in spoken],
            "max_tokens": served.serving.engine.answer_tokens_max,
            "temperature": SAMPLING["temperature"],
            "add_generation_prompt": False,
            "continue_final_message": True,  # the head stands in the prompt, as in ours
            "structured_outputs": {"regex": ANSWER_TAIL},
        } | more
        yield Message(message.number, message.key, json.dumps(body).encode())


class Tokens(NamedTuple):
    """What the engine computed, of a question or of several."""

    prompt: int
    answer: int

    @classmethod
    def total(cls, told: Iterable[Tokens]) -> Tokens:
        """Of all of these."""
        prompts, answers = zip(*told, strict=True)
        return cls(sum(prompts), sum(answers))


class Chat(NamedTuple):
    """What such a server answered."""

    text: str
    tokens: Tokens

    @classmethod
    def read(cls, body: bytes) -> Chat:
        """The JSON that was answered, its head included. Raises KeyError, ValueError where it is none."""
        told = json.loads(body)
        text: str = ANSWER_HEAD + told["choices"][0]["message"]["content"]
        json.loads(text)
        return cls(text, Tokens(told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]))
