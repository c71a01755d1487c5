"""How an answer leaves: the decision as it stands in the log, or where to find it later."""

from __future__ import annotations

import json
from urllib.parse import quote

from fastapi import Response

from gateway.asking import NotYet
from gateway.outcome import Answered
from gateway.problems import Problem, problem


def decision(answer: Answered) -> Response:
    """The decision, byte for byte."""
    return Response(answer.value, media_type="application/json", headers={"X-Source": str(answer.src)})


def later(waiting: NotYet, wait_s: float) -> Response:
    """202: the question is written; `Location` is where its decision will be."""
    bot_id, symbol, context_id = waiting.asked.ids
    body = {"context_id": context_id, "bot_id": bot_id, "symbol": symbol, "src": str(waiting.src)}
    place = f"/decisions/{quote(context_id, safe='')}?bot_id={quote(bot_id, safe='')}&symbol={quote(symbol, safe='')}"
    headers = {"Location": place, "Preference-Applied": f"wait={wait_s:.0f}"}
    return Response(json.dumps(body), 202, headers, "application/json")


def too_late(waiting: NotYet, wait_s: float) -> Problem:
    """504: nobody answered in time; the decision may still come."""
    detail = f"no decision within {wait_s:g} s; it may still come: ask again with the same context_id"
    return problem(504, "no-decision-in-time", detail, context_id=waiting.asked.ids[2])
