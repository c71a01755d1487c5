"""`python -m workers`: one worker process, for the model that TRADING_LLM_MODEL names."""

from backbone.errors import Fatal
from backbone.process import Topic, run
from backbone.settings import Settings
from schemas.context import ContextEvent
from schemas.decision import Decision
from schemas.topic import Side
from workers.app import Worker
from workers.catalogue import CatalogueError, load_catalogue, serve
from workers.engine import build_engine, prepare_environment
from workers.gpu_plan import with_share


def _build(settings: Settings) -> Worker:
    try:
        catalogue = load_catalogue(settings.catalogue)
        if settings.model not in catalogue:
            raise Fatal(f"TRADING_LLM_MODEL={settings.model}: want one of {', '.join(catalogue)}")
        served = with_share(serve(catalogue[settings.model], settings.catalogue, settings.weights), settings.gpu_plan)
    except CatalogueError as error:
        raise Fatal(str(error)) from error
    prepare_environment(settings.engine, served)
    return Worker(settings, served, build_engine(settings.engine, served, settings.script))


def _topics(settings: Settings) -> list[Topic]:
    return [topic for side in Side for topic in _topics_of(side, settings)]


def _topics_of(side: Side, settings: Settings) -> list[Topic]:
    waiting = [Topic(side.waiting(name), "contexts that wait for this model", ContextEvent) for name in settings.models]
    return [
        *waiting,
        Topic(side.decisions, "what the model's answers came to", Decision),
        Topic(side.dead_letters, "what nobody can decide", bytes),
    ]


if __name__ == "__main__":
    run("worker", _build, _topics)
