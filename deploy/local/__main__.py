"""`python -m deploy.local up|down|status`: what `make up` and `make down` run."""

from __future__ import annotations

import os
import sys

from deploy.local import MachineError, Plan, down, processes, state_dir_of, up


def main(arguments: list[str]) -> int:
    """Do what the first argument says; 0 done, 1 it did not hold, 2 wrong use."""
    if arguments not in (["up"], ["down"], ["status"]):
        print("use: python -m deploy.local up|down|status", file=sys.stderr)
        return 2
    try:
        _do(arguments[0])
    except MachineError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing is left running", file=sys.stderr)
        return 130
    return 0


def _do(command: str) -> None:
    if command == "up":
        plan = Plan.from_environment(os.environ)
        up(plan)
        said = plan.settings
        print(f"up: gateway {said['LLM_ENDPOINT']}, Kafka {said['TRADING_LLM_KAFKA_BOOTSTRAP']}, logs {plan.logs}")
    elif command == "down":
        if not down(state_dir_of(os.environ)):
            print("nothing was up")
    else:
        for process in processes(state_dir_of(os.environ)):
            print(f"{process.name:20} {process.state:9} pid {process.pid} restarts {process.restarts}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
