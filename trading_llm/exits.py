"""How a command ends: 0 done, 1 it did not hold, 2 wrong use, 3 something it needs is away.

Exception
  DidNotHold   1: what was asked for is not so
  WrongUse     2: the command cannot be meant so
  Away         3: Kafka, the gateway or the stack cannot be reached
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from backbone.errors import Fatal
from deploy.local import MachineError


class DidNotHold(Exception):
    """What was asked for is not so."""


class WrongUse(Exception):
    """The command cannot be meant so; the text names what, and the remedy."""


class Away(Exception):
    """Something that the command needs cannot be reached; the text names it, and the remedy."""


class Commands(TyperGroup):
    """The commands, with every ending mapped to its exit code and one clear line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except DidNotHold as error:
            raise _end(error, 1) from None
        except WrongUse as error:
            raise _end(error, 2) from None
        except ValidationError as error:
            flaw = error.errors()[0]
            raise _end(f"{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}", 2) from None
        except (Away, Fatal, MachineError) as error:
            raise _end(error, 3) from None


def _end(why: object, code: int) -> typer.Exit:
    print(f"trading-llm: {why}", file=sys.stderr, flush=True)
    return typer.Exit(code)
