"""`vllm serve` with the arguments of our own engine: one API server in front of the same core, nothing logged.

`python -m tests.bench.peer_serve PORT MODEL`: the model's name in requests is the catalogue's.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import uvloop

from backbone.settings import Settings
from deploy.local.ports import HOST
from workers.catalogue import Served, load_catalogue, serve
from workers.engine import prepare_environment


def arguments(served: Served, port: int) -> Any:
    """What its command line would come to, our engine's arguments in place of its own."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from workers.engine_vllm import _arguments

    ours = vars(_arguments(served))
    grammar = json.dumps(ours.pop("structured_outputs_config"))  # the one that its command line makes an object of
    own = ["--host", HOST, "--port", str(port), "--disable-uvicorn-access-log", "--uvicorn-log-level", "error"]
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args([*own, "--structured-outputs-config", grammar])
    for name in vars(parsed).keys() & ours.keys():
        setattr(parsed, name, ours[name])
    parsed.served_model_name = [served.entry.name]
    return parsed


def main(port: int, model: str) -> None:
    """Serve until it is ended."""
    settings = Settings()
    served = serve(load_catalogue(settings.catalogue)[model], settings.catalogue, None)
    prepare_environment("vllm", served)
    from vllm.entrypoints.launchers.api_server.entry import run_server

    uvloop.run(run_server(arguments(served, port)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
