from __future__ import annotations

import pytest

from c2dkit._protocols import amqp
from c2dkit._wire import cbs


@pytest.mark.parametrize("message_id", ["text", amqp.ULong(0), None])
def test_a_request_comes_back_as_it_was(message_id: cbs.MessageId) -> None:
    request = cbs.decode_put_token(cbs.encode_put_token(cbs.PutToken(message_id, "hub/devices/d1", "the token")))
    assert request == (message_id, "hub/devices/d1", "the token", "servicebus.windows.net:sastoken")
    assert type(request.message_id) is type(message_id)


def test_the_type_of_a_token_of_entra_id() -> None:
    sent = cbs.PutToken("id", "https://iothubs.azure.net/.default", "Bearer e30", cbs.BEARER_TOKEN_TYPE)
    message = amqp.decode_message(cbs.encode_put_token(sent))
    assert message.application_properties is not None
    assert message.application_properties["type"] == "bearer"
    assert cbs.decode_put_token(cbs.encode_put_token(sent)) == sent


def test_the_token_is_not_in_the_repr() -> None:
    assert "the token" not in repr(cbs.PutToken("id", "hub", "the token"))


def test_an_answer_satisfies_the_strictest_sdk() -> None:
    payload = cbs.encode_answer(cbs.TokenAnswer(amqp.ULong(3), 200, "OK"))
    message = amqp.decode_message(payload)
    assert message.properties is not None
    assert type(message.properties.correlation_id) is amqp.ULong
    properties = dict(message.application_properties or {})
    assert properties == {"status-code": 200, "status-description": "OK"}
    assert type(properties["status-code"]) is amqp.Int
    assert cbs.decode_answer(payload) == (3, 200, "OK")


def test_what_is_no_request_or_answer_is_refused() -> None:
    other = amqp.encode_message(amqp.AmqpMessage(application_properties={"operation": "delete-token"}, data=b"x"))
    with pytest.raises(ValueError, match="not a put-token request"):
        cbs.decode_put_token(other)
    with pytest.raises(ValueError, match="no status code"):
        cbs.decode_answer(other)
