"""`python -m router`: one router process."""

from backbone.process import Topic, run
from backbone.settings import Settings
from router.app import Router
from schemas.context import ContextEvent
from schemas.decision import Decision
from schemas.topic import CONTEXTS, DEAD_LETTERS, DECISIONS, model_topic


def _build(settings: Settings) -> Router:
    return Router(settings, settings.catalogue_names)


def _topics(settings: Settings) -> list[Topic]:
    waiting = [Topic(model_topic(name), "contexts that wait for this model", ContextEvent) for name in settings.models]
    return [
        Topic(CONTEXTS, "what bots ask; read by this process", ContextEvent),
        *waiting,
        Topic(DECISIONS, "outcomes that need no model", Decision),
        Topic(DEAD_LETTERS, "what nobody can decide", bytes),
    ]


if __name__ == "__main__":
    run("router", _build, _topics)
