"""The hop from the router to a model: a context's bytes, unchanged, with the tag beside them."""

from __future__ import annotations

from dataclasses import dataclass

from schemas import headers as names
from schemas.canonical import digest
from schemas.context import read_event
from schemas.decision import FailedGeneration, failed_header
from schemas.origin import run_id_of
from schemas.question import Question, sender_key
from schemas.record import Output, Record
from schemas.refusal import DeadLettered, Reason
from schemas.result import Result
from schemas.route import Route, Tag
from schemas.source import Source
from schemas.topic import Side


def tag_for(question: Question, chosen: str, route: Route, routed_at_ms: int) -> Tag:
    """The tag of a question that was routed at this moment; `chosen` is the model whose fallback chain counts."""
    return Tag(
        route=route,
        chosen=chosen,
        received_at_ms=question.received_at_ms,
        as_of_ms=question.as_of_ms,
        valid_until_ms=question.valid_until_ms,
        routed_at_ms=routed_at_ms,
        horizon_s=question.horizon_s,
    )


@dataclass(frozen=True, slots=True)
class Hop:
    """A question on its way to a model; `record` is what is being handled, from the router's topic or a model's."""

    record: Record
    question: Question
    model: str
    tag: Tag
    failed: tuple[FailedGeneration, ...] = ()

    @property
    def output(self) -> Output:
        """The record of `contexts.<model>`."""
        side = Side.of(self.question.src.topic)
        own = (
            (names.SRC, str(self.question.src).encode()),
            (names.CONTEXT_ID, self.question.context_id.encode()),
            (names.ROUTE, self.tag.to_bytes()),
            (names.CONTENT_TYPE, names.JSON_CONTENT),
            (names.SCHEMA, names.CONTEXT_SCHEMA),
        )
        trail = ((names.FAILED, failed_header(self.failed)),) if self.failed else ()
        headers = own + trail + names.passed_on(self.record.headers, side)
        return Output(side.waiting(self.model), self.question.key, self.record.value, headers)


def as_written(came: Hop | Result) -> Result:
    """What a record came to, as its transaction writes it."""
    return Result(came.record, (came.output,)) if isinstance(came, Hop) else came


def source_of(record: Record) -> Source:
    """The context that a tagged record asks about; ValueError where its `src` header names none of its own side.

    What came of it is written to the side of its `src`: a replay that names a live context must not answer it.
    """
    src = Source.parse(names.header_text(record.headers, names.SRC) or "")
    if Side.of(src.topic) is not Side.of(record.source.topic):
        raise ValueError(f"src {src} is not of the same side as {record.source.topic}")
    return src


def question_from_tag(record: Record) -> tuple[Question, Tag]:
    """The question in a record of `contexts.<model>`, exactly as the router resolved it; no clock is asked.

    Raises DeadLettered where the tag is missing or broken (only somebody else's record can be so), or where the
    bytes no longer read as a question.
    """
    try:
        src = source_of(record)
        tag = Tag.from_bytes(names.header(record.headers, names.ROUTE) or b"")
    except ValueError as error:
        raise DeadLettered(Reason.UNDECIDABLE, f"its headers are not the router's: {error}") from None
    event = read_event(record.value, tag.received_at_ms)
    question = Question(
        event=event,
        src=src,
        run_id=run_id_of(record),
        context_id=names.header_text(record.headers, names.CONTEXT_ID) or f"{src}@{tag.received_at_ms}",
        content_digest=digest(record.value),
        key=record.key or sender_key(event.bot_id, event.symbol),
        received_at_ms=tag.received_at_ms,
        as_of_ms=tag.as_of_ms,
        valid_until_ms=tag.valid_until_ms,
        horizon_s=tag.horizon_s,
    )
    return question, tag
