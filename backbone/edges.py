"""FastStream's broker, as the shells and the gateway use it: with the same address and the same security as every client."""

from __future__ import annotations

from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLScram512

from backbone import clients
from backbone.settings import Settings


def edge_broker(settings: Settings, description: str) -> KafkaBroker:
    """A broker that is not connected; its producer is idempotent and makes no topics. Raises Fatal where SASL lacks a name."""
    known = clients.connection(settings)
    return KafkaBroker(
        known["bootstrap_servers"],
        security=_security(settings, known),
        request_timeout_ms=known["request_timeout_ms"],
        allow_auto_create_topics=False,
        acks="all",
        enable_idempotence=True,
        max_request_size=clients.REQUEST_BYTES_MAX,
        logger=None,
        description=description,
    )


def _security(settings: Settings, known: dict[str, object]) -> BaseSecurity:
    tls = known.get("ssl_context")
    if settings.kafka_sasl_username and settings.kafka_sasl_password and "SASL" in settings.kafka_security_protocol:
        username, password = settings.kafka_sasl_username, settings.kafka_sasl_password
        return SASLScram512(username, password, ssl_context=tls, use_ssl=tls is not None)  # type: ignore[arg-type]
    return BaseSecurity(ssl_context=tls, use_ssl=tls is not None)  # type: ignore[arg-type]
