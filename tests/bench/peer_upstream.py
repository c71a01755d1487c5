"""A model server that answers at once, as OpenAI's chat completions: what stays is the cost of whatever stands before it.

`python -m tests.bench.peer_upstream PORT`
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn

from deploy.local.ports import HOST

ANSWER = json.dumps(
    {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "instant",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "HOLD"}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 1, "total_tokens": 1001},
    }
).encode()  # fmt: skip
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def instant(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The same answer to everything, once the whole question was read."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    uvicorn.run(instant, host=HOST, port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
