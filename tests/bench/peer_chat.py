"""What a server with OpenAI's interface is asked so that it computes the very tokens of our own worker, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator

from deciders.answer import ANSWER_HEAD, ANSWER_TAIL, LABELS
from deciders.identity import SAMPLING
from tests.bench.contexts import Message, messages
from tests.bench.peer_generate import prompts
from workers.catalogue import Served


def questions(served: Served, first: int, count: int, *, probable: bool = False) -> Iterator[Message]:
    """These contexts as requests, rendered beforehand: who sends them has that for nothing.

    `probable`: the probabilities of as many tokens as there are labels are asked for, too, as ours always are.
    """
    more = {"logprobs": True, "top_logprobs": len(LABELS)} if probable else {}
    for message, prompt in zip(messages(first, count), prompts(served, first, count), strict=True):
        spoken = (("system", prompt.system), ("user", prompt.user), ("assistant", ANSWER_HEAD))
        body = {
            "model": served.entry.name,
            "messages": [{"role": role, "content": content} for role, content in spoken],
            "max_tokens": served.serving.engine.answer_tokens_max,
            "temperature": SAMPLING["temperature"],
            "add_generation_prompt": False,
            "continue_final_message": True,  # the head stands in the prompt, as in ours
            "structured_outputs": {"regex": ANSWER_TAIL},
        } | more
        yield Message(message.number, message.key, json.dumps(body).encode())


def answer(body: bytes) -> str:
    """The JSON that was answered, its head included. Raises KeyError, ValueError where it is none."""
    text: str = ANSWER_HEAD + json.loads(body)["choices"][0]["message"]["content"]
    json.loads(text)
    return text
