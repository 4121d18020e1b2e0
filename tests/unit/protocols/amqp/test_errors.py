from __future__ import annotations

from c2dkit._protocols.amqp import AmqpError, AmqpProtocolError


def test_protocol_error_names_the_condition_to_close_with() -> None:
    assert AmqpProtocolError("odd").condition == "amqp:decode-error"
    assert AmqpProtocolError("odd", condition="amqp:not-allowed").condition == "amqp:not-allowed"


def test_only_the_condition_of_an_error_is_mandatory() -> None:
    assert AmqpError("amqp:not-found") == ("amqp:not-found", None, None)
