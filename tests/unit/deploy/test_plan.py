"""What a stack consists of, for each way to shape it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.errors import MachineError
from deploy.local.plan import Plan
from deploy.local.ports import Ports

pytestmark = pytest.mark.unit


def names(plan: Plan) -> list[str]:
    return [program.name for program in plan.programs()]


def test_a_stack_has_one_process_a_model_beside_one_router_and_the_gateway() -> None:
    workers = ["worker-deepseek-0", "worker-qwen-0", "worker-fingpt-0", "worker-phi3-0"]
    assert names(Plan.from_environment({})) == ["kafka", "redis", "router-0", *workers, "gateway"]


def test_the_environment_shapes_a_stack() -> None:
    plan = Plan.from_environment({"MODELS": "phi3, qwen", "ROUTERS": "2", "WORKERS": "2", "ENGINE": "scripted"})
    pipeline = ["router-0", "router-1", "worker-phi3-0", "worker-phi3-1", "worker-qwen-0", "worker-qwen-1", "gateway"]
    assert names(plan) == ["kafka", "redis", *pipeline]
    assert plan.settings["TRADING_LLM_MODELS"] == "phi3,qwen"
    assert plan.settings["TRADING_LLM_ENGINE"] == "scripted"


def test_variables_that_make_exports_empty_count_as_absent() -> None:
    empty = dict.fromkeys(("ENGINE", "MODELS", "ROUTERS", "WORKERS", "KAFKA_PORT", "STATE_DIR"), "")
    assert Plan.from_environment(empty) == Plan.from_environment({})


@pytest.mark.parametrize(
    ("variable", "text"),
    [("ENGINE", "gpt"), ("MODELS", ","), ("MODELS", "phi3,phi3"), ("ROUTERS", "0"), ("WORKERS", "many"), ("WORKERS", "17")],
)
def test_a_shape_that_cannot_be_is_refused_by_the_name_of_its_variable(variable: str, text: str) -> None:
    with pytest.raises(MachineError, match=variable):
        Plan.from_environment({variable: text})


def test_no_two_processes_share_a_port_an_identity_or_a_log() -> None:
    plan = Plan.from_environment({"ROUTERS": "3", "WORKERS": "2"})
    programs = plan.programs()
    assert len({program.probe.port for program in programs}) == len(programs)
    assert len({program.name for program in programs}) == len(programs)
    told = ("TRADING_LLM_MODEL", "TRADING_LLM_ORDINAL")
    identities = [(each.command, *(each.environment.get(name) for name in told)) for each in programs]
    assert len(set(identities)) == len(programs)


def test_ports_that_would_collide_are_refused() -> None:
    with pytest.raises(MachineError, match="share a port"):
        Plan(state_dir=Path("/nowhere"), ports=Ports(gateway=8081)).ports_wanted()


def test_every_port_is_named_with_the_variable_that_moves_it() -> None:
    wanted = Plan.from_environment({"MODELS": "phi3"}).ports_wanted()
    assert wanted[9092] == ("kafka", "KAFKA_PORT")
    assert wanted[8082] == ("worker-phi3-0", "HTTP_PORT")
    assert {variable for _, variable in wanted.values()} == {
        "KAFKA_PORT", "CONTROLLER_PORT", "REDIS_PORT", "GATEWAY_PORT", "HTTP_PORT",
    }  # fmt: skip


def test_a_plan_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    plan = Plan.from_environment({"STATE_DIR": str(tmp_path), "MODELS": "qwen", "GATEWAY_PORT": "9999"})
    plan.keep()
    assert Plan.read(tmp_path) == plan


def test_logs_lie_beside_the_state_directory(tmp_path: Path) -> None:
    assert Plan(state_dir=tmp_path / "stack").logs == tmp_path / "logs"
