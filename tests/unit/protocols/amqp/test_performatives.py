from __future__ import annotations

import pytest

from c2dkit._protocols.amqp import (
    Accepted,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    Flow,
    Modified,
    Open,
    Outcome,
    Rejected,
    Released,
    SaslInit,
    SaslResponse,
    Source,
    Target,
    Transfer,
)


def test_defaults_are_those_of_the_specification() -> None:
    opened = Open("me")
    assert (opened.max_frame_size, opened.channel_max, opened.idle_time_out) == (4294967295, 65535, None)
    assert Begin(None, 0, 1, 1).handle_max == 4294967295
    attach = Attach("link", 0, role=True)
    assert (attach.snd_settle_mode, attach.rcv_settle_mode, attach.incomplete_unsettled) == (2, 0, False)
    flow = Flow(None, 1, 0, 1)
    assert (flow.drain, flow.echo, flow.handle) == (False, False, None)
    transfer = Transfer(0)
    assert (transfer.settled, transfer.more, transfer.resume, transfer.aborted) == (None, False, False, False)
    assert Disposition(role=True, first=0).settled is False
    assert Detach(0).closed is False
    assert Close().error is None
    for terminus in (Source(), Target()):
        assert (terminus.durable, terminus.expiry_policy, terminus.timeout) == (0, "session-end", 0)
        assert terminus.dynamic is False


def test_outcomes_without_fields_are_told_apart_and_true() -> None:
    outcomes: list[Outcome] = [Accepted(), Released()]
    assert outcomes[0] == Accepted()
    assert outcomes[0] != outcomes[1]
    assert all([Accepted(), Rejected(), Released(), Modified()])
    assert len({Accepted(), Released(), Accepted()}) == 2


@pytest.mark.parametrize("performative", [SaslInit("PLAIN", b"\0me\0secret", "host"), SaslResponse(b"secret")])
def test_credentials_are_not_shown(performative: SaslInit | SaslResponse) -> None:
    assert "secret" not in repr(performative)
    assert type(performative).__name__ in repr(performative)
