"""`python -m router`: one router process."""

from backbone.process import Topic, run
from backbone.settings import Settings
from router.app import Router
from schemas.context import ContextEvent
from schemas.decision import Decision
from schemas.topic import Side


def _build(settings: Settings) -> Router:
    return Router(settings, settings.catalogue_names)


def _topics(settings: Settings) -> list[Topic]:
    return [topic for side in Side for topic in _topics_of(side, settings)]


def _topics_of(side: Side, settings: Settings) -> list[Topic]:
    asked = "what bots ask" if side is Side.LIVE else "what is asked again"
    waiting = [Topic(side.waiting(name), "contexts that wait for this model", ContextEvent) for name in settings.models]
    return [
        Topic(side.contexts, f"{asked}; read by this process", ContextEvent),
        *waiting,
        Topic(side.decisions, "outcomes that need no model", Decision),
        Topic(side.dead_letters, "what nobody can decide", bytes),
    ]


if __name__ == "__main__":
    run("router", _build, _topics)
