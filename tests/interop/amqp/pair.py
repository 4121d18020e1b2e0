"""An open connection of c2dkit and a stranger, and what the tests do with it again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from c2dkit._protocols import amqp

if TYPE_CHECKING:
    from .ends import End, Role, Stranger

__all__ = ["Pair", "spelled"]


class Pair:
    """An open connection of c2dkit and a stranger. Whoever dialled also begins sessions and attaches links."""

    def __init__(self, end: End, stranger: Stranger, role: Role) -> None:
        self.end = end
        self.stranger = stranger
        self.role = role
        self.sessions: dict[str, amqp.Session] = {}

    async def sender(self, name: str = "out", *, session: str = "one", second: bool = False) -> amqp.SenderLink:
        """Attach a link on which c2dkit sends."""
        link = await self._link(name, session, second=second, sends=True)
        assert isinstance(link, amqp.SenderLink)
        return link

    async def receiver(self, name: str = "in", *, session: str = "one", second: bool = False) -> amqp.ReceiverLink:
        """Attach a link on which c2dkit receives."""
        link = await self._link(name, session, second=second, sends=False)
        assert isinstance(link, amqp.ReceiverLink)
        return link

    async def _link(self, name: str, session: str, *, second: bool, sends: bool) -> amqp.SenderLink | amqp.ReceiverLink:
        attach = self._attach if self.role == "client" else self._accept
        link = await attach(name, session, second=second, sends=sends)
        assert (link.source, link.target) == (amqp.Source("from"), amqp.Target("to"))
        await self.stranger.expect("attached", name, "from", "to")
        return link

    async def _attach(
        self, name: str, session: str, *, second: bool, sends: bool
    ) -> amqp.SenderLink | amqp.ReceiverLink:
        if session not in self.sessions:
            self.sessions[session] = self.end.connection.begin()
            self.end.wake()
            await self.end.expect(amqp.SessionBegun(self.sessions[session]))
        begun = self.sessions[session]
        attach = begun.attach_sender if sends else begun.attach_receiver
        mode = amqp.SECOND if second else amqp.FIRST
        link = attach(name, source=amqp.Source("from"), target=amqp.Target("to"), rcv_settle_mode=mode)
        self.end.wake()
        await self.end.expect(amqp.LinkAttached(link))
        return link

    async def _accept(
        self, name: str, session: str, *, second: bool, sends: bool
    ) -> amqp.SenderLink | amqp.ReceiverLink:
        role, settle = "receiver" if sends else "sender", "second" if second else "first"
        await self.stranger.tell("attach", link=name, role=role, session=session, settle=settle)
        if session not in self.sessions:
            self.sessions[session] = (await self.end.next(amqp.SessionBegun)).session
        link = (await self.end.next(amqp.LinkRequested)).link
        assert link.name == name
        link.accept(source=amqp.Source("from"), target=amqp.Target("to"))
        self.end.wake()
        return link

    async def give(self, link: amqp.SenderLink, credit: int) -> None:
        """Have the stranger give credit."""
        await self.stranger.tell("credit", link=link.name, credit=credit)
        await self.end.expect(amqp.LinkFlowed(link))
        assert link.credit == credit

    async def take(self, link: amqp.ReceiverLink, credit: int) -> None:
        """Give the stranger credit."""
        link.flow(credit)
        self.end.wake()
        if self.stranger.name != "uamqp":  # which does not tell
            await self.stranger.expect("credit", link.name, credit, False)

    async def send(self, link: amqp.SenderLink, tag: str, body: str = "body", *, settled: bool = False) -> int:
        """Send a message and see it arrive; returns its delivery id."""
        delivery_id = link.send(encoded(tag, body), tag=tag.encode(), settled=settled)
        self.end.wake()
        knows_settled = settled and self.stranger.name != "uamqp"
        await self.stranger.expect("message", link.name, tag, tag, {"number": 7}, body, knows_settled)
        return delivery_id

    async def receive(
        self, link: amqp.ReceiverLink, tag: str, body: str = "body", *, settled: bool = False
    ) -> amqp.TransferReceived:
        """Have the stranger send a message and see it arrive."""
        await self.stranger.tell("send", link=link.name, tag=tag, body=body, settled=settled)
        event = await self.end.next(amqp.TransferReceived)
        assert (event.link, event.settled) == (link, settled)
        assert event.tag == tag.encode() or self.stranger.name == "uamqp"  # which counts its deliveries instead
        message = amqp.decode_message(event.payload)
        assert message.properties == amqp.Properties(message_id=tag)
        assert (message.application_properties, message.data) == ({"number": 7}, body.encode())
        return event


def encoded(message_id: str, body: str) -> bytes:
    properties = amqp.Properties(message_id=message_id)
    message = amqp.AmqpMessage(
        properties=properties, application_properties={"number": amqp.Int(7)}, data=body.encode()
    )
    return amqp.encode_message(message)


def spelled(outcome: amqp.Outcome) -> list[object]:
    """An outcome as the strangers' programs spell it."""
    match outcome:
        case amqp.Rejected(amqp.AmqpError(condition, description)):
            return ["rejected", condition, description]
        case amqp.Modified(failed, undeliverable, annotations):
            return ["modified", failed, undeliverable, annotations]
    return [type(outcome).__name__.lower()]
