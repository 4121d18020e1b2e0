"""``c2dkit demo``: one message from a back end to a device and its acknowledgment back, on a hub of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from c2dkit import C2dError, CloudSender, DeviceReceiver, FeedbackStatus, FeedbackStream, ServiceCredential
from c2dkit.hub import HubOptions, LocalHub
from c2dkit.transports import AmqpServiceTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from c2dkit import FeedbackRecord

__all__ = ["DeviceTransportName", "Reboot", "demo", "play", "what_went_wrong"]

DEVICE_ID: Final = "dev-1"
MESSAGE_ID: Final = "My Message ID"
FEEDBACK_INTERVAL: Final = timedelta(seconds=1)
TIMEOUT_SECONDS: Final = 30

NEXT = """
What to try next:
  c2dkit demo --transport {other}   the same with a device on {OTHER}
  c2dkit hub                     a hub that stays, for programs of your own and for the official SDKs
  docs/getting-started.md        a hub, a device and a back end in three terminals
"""


class DeviceTransportName(StrEnum):
    """What the device may speak."""

    AMQP = "amqp"
    MQTT = "mqtt"


@dataclass(frozen=True, slots=True)
class Reboot:
    """What the back end tells the device."""

    delay_s: int


async def play(transport: DeviceTransportName, say: Callable[[str, str], None]) -> FeedbackRecord:
    """Play the story once and return the feedback record of its message.

    Args:
        transport: What the device speaks; back ends have only AMQP.
        say: Called with who does something and with what it is, as it happens.

    Cancellation: safe, nothing stays open.

    Raises:
        C2dError: Something in the story failed.
    """
    async with LocalHub(devices=[DEVICE_ID], options=HubOptions(feedback_interval=FEEDBACK_INTERVAL)) as hub:
        say("hub", f"local, in this process, no cloud: listening on {hub.host}:{hub.port}, AMQP and MQTT over TLS")
        trust = hub.ssl_context()
        credential = ServiceCredential.from_connection_string(hub.service_connection_string)
        back_end = AmqpServiceTransport(credential, ssl_context=trust)
        device = DeviceReceiver.from_connection_string(
            hub.device_connection_string(DEVICE_ID), transport=transport, payload_type=Reboot, ssl_context=trust
        )
        async with device, CloudSender(back_end) as sender, FeedbackStream(back_end) as feedback:
            say("device", f"{DEVICE_ID} connected over {transport.value.upper()}, waiting for messages")
            await _send(sender, say)
            await _receive(device, say)
            say("back end", "waiting for the delivery acknowledgment")
            async for record in feedback:
                say(
                    "back end",
                    f"feedback: message {record.original_message_id!r} to {record.device_id}: {record.status}",
                )
                if record.original_message_id == MESSAGE_ID:
                    return record
    raise C2dError("the hub closed the feedback stream before it said what became of the message")


async def _send(sender: CloudSender, say: Callable[[str, str], None]) -> None:
    payload = Reboot(delay_s=5)
    receipt = await sender.send(DEVICE_ID, payload, ack="full", message_id=MESSAGE_ID, expires_in=timedelta(minutes=10))
    say("back end", f"sent {payload} as {receipt.message_id!r}, acknowledgment {receipt.ack}: queued by the hub")


async def _receive(device: DeviceReceiver[Reboot], say: Callable[[str, str], None]) -> None:
    message = await anext(device)
    say("device", f"received {message.message_id!r}: {message.payload} (the bytes are {message.body!r})")
    await message.complete()
    say("device", "completed it")


def what_went_wrong(
    story: Callable[[], Awaitable[FeedbackRecord]], *, timeout_seconds: float = TIMEOUT_SECONDS
) -> str | None:
    """Run a story to its end and return None where its record says Success, else what to tell the user."""

    async def in_time() -> FeedbackRecord:
        with anyio.fail_after(timeout_seconds):
            return await story()

    try:
        record = anyio.run(in_time)
    except TimeoutError:
        return f"the story did not end within {timeout_seconds:g} s"
    except (C2dError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    if record.status is not FeedbackStatus.SUCCESS:
        return f"the feedback says {record.status}, not {FeedbackStatus.SUCCESS}"
    return None


def demo(
    transport: Annotated[DeviceTransportName, typer.Option(help="What the device speaks.")] = DeviceTransportName.AMQP,
) -> None:
    """Send a message to a device on a local hub and wait for the delivery acknowledgment."""
    console = Console(soft_wrap=True, highlight=False)

    def say(who: str, what: str) -> None:
        console.print(f"[bold cyan]{who:>8}[/]  {escape(what)}")

    reason = what_went_wrong(partial(play, transport, say))
    if reason is not None:
        problems = Console(stderr=True, soft_wrap=True, highlight=False)
        problems.print(f"[bold red]c2dkit demo failed:[/] {escape(reason)}")
        raise typer.Exit(1)
    other = DeviceTransportName.MQTT if transport is DeviceTransportName.AMQP else DeviceTransportName.AMQP
    console.print(NEXT.format(other=other.value, OTHER=other.value.upper()), end="")
