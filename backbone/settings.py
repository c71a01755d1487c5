"""Every number and name that a process may be given, from the environment, each with unit, reason and default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """The settings of one process. `TRADING_LLM_<NAME>` in the environment sets each, but for the three names users know."""

    model_config = SettingsConfigDict(env_prefix="TRADING_LLM_", frozen=True, extra="ignore", populate_by_name=True)

    # Where things are.
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: str | None = Field(default=None, repr=False)
    kafka_ca_file: Path | None = None
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)  # may hold a password
    catalogue: Path = REPOSITORY / "deploy" / "models"
    policy: Path = REPOSITORY / "router" / "policy.toml"
    weights: Path | None = None  # root of real weights, one folder a model; absent: stand-ins
    gpu_plan: Path | None = None  # each engine's part of a GPU, as `trading-llm models plan --write` wrote it
    state_dir: Path = REPOSITORY / ".local" / "stack"

    # Who this process is.
    models: Annotated[tuple[str, ...], NoDecode] = ("deepseek", "qwen", "fingpt", "phi3")  # those that run, in order
    model: str | None = None  # a worker's own
    ordinal: int = Field(default=0, ge=0)  # names the static group member: one process a (room, model, ordinal)
    replays: bool = True  # whether it reads `replay.*` behind what is live; idle: under 1 % of a core, 10 to 18 connections
    engine: Literal["vllm", "scripted"] = "vllm"
    script: str = "{}"  # what a scripted engine does; JSON
    router: str = "router.model_router:ModelRouter"  # `module:Class`; a subclass chooses models its own way
    progress_file: Path | None = None  # touched at the first transaction: the supervisor then counts failures anew
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65_535)  # health, readiness, metrics; 0: none
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8080, ge=0, le=65_535)
    stop_points: str = ""  # tests only: `name=kill|stop|raise|cancel[@n]`, comma-separated

    # What is decided.
    enable_llm_trading: bool = Field(default=True, validation_alias=AliasChoices("ENABLE_LLM_TRADING"))
    min_llm_confidence: float = Field(default=0.7, ge=0, le=1, validation_alias=AliasChoices("MIN_LLM_CONFIDENCE"))
    llm_endpoint: str = Field(default="http://127.0.0.1:8080", validation_alias=AliasChoices("LLM_ENDPOINT"))

    # How long things may take, seconds.
    session_timeout_s: float = 30.0  # a member silent for so long has lost its partitions
    heartbeat_interval_s: float = 0.5  # also how soon a fenced process learns that its lane moved
    rebalance_timeout_s: float = 60.0  # aiokafka's default is the session timeout: too short beside a loaded engine
    transaction_timeout_s: float = 5.0  # an open transaction hides others' records from committed readers
    commit_doubt_s: float = 4.0  # less than the transaction time-out, so that we give a lane up before the broker does
    hung_s: float = Field(default=30.0, gt=0)  # silent on a question for so long an engine hangs on it; on all, twice
    claim_s: float = 15.0  # fence, offset and log start; an open transaction is waited for up to 10 s
    request_timeout_s: float = 10.0
    broker_wait_s: float = Field(default=60.0, ge=0)  # how long a process that starts waits for its broker
    revoke_drain_s: float = 1.0  # how long a rebalance waits for what is under way; the rest is asked again elsewhere
    drain_s: float = 10.0  # how long a stopping process may finish what it holds
    http_wait_s: float = Field(default=30.0, gt=0, le=300)  # how long POST /decide waits for its decision

    # How much may be held.
    router_batch: int = Field(default=200, ge=1)  # records a router transaction
    lane_records_max: int = Field(default=1_000, ge=1)  # records a lane holds undecided; the bitmap covers 4,096 offsets
    lane_bytes_max: int = Field(default=64 << 20, ge=1 << 20)  # bytes a lane holds undecided or held back
    dedupe_window: int = Field(default=20_000, ge=1)  # newest ids remembered, a partition of `contexts`
    fetch_bytes_max: int = Field(default=1 << 20, ge=64 << 10)  # a partition's prefetch

    @property
    def catalogue_names(self) -> tuple[str, ...]:
        """The names of all models in the catalogue, also of those that do not run."""
        return tuple(sorted(path.stem for path in self.catalogue.glob("*.toml")))

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
