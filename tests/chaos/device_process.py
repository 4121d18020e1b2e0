"""A device, to be killed: reads one line of JSON, its orders, and writes a line of JSON for whatever happens to it.

Every further line that it reads makes it calm: it completes everything from then on.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from dataclasses import asdict, dataclass
from random import Random

from c2dkit import C2dError, DeviceReceiver, Settlement
from tests.accounts.desk import choose, settle
from tests.chaos.clients import DEVICE_TRANSPORTS, RETRY, ends_with_an_error

LONGEST_WORK = 0.02


@dataclass(frozen=True)
class Orders:
    """What a device is to do."""

    connection_string: str
    transport: str
    ca_file: str
    seed: int
    calm: bool

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def tell(word: str, message_id: str, value: object) -> None:
    print(json.dumps([word, message_id, value]), flush=True)  # noqa: T201 - for the test to read


class Teller:
    """A page of the ledger that is in the test's process."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id

    def ask(self, settlement: Settlement) -> None:
        tell("ask", self._message_id, settlement)

    def take_back(self, settlement: Settlement) -> None:
        tell("take_back", self._message_id, settlement)

    def confirm(self, settlement: Settlement) -> None:
        tell("confirm", self._message_id, settlement)


class Device:
    """Receives and settles until it is killed, or its receiver has ended with an error."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._random = Random(orders.seed)
        self._calm = orders.calm

    async def calm_down(self, lines: asyncio.StreamReader) -> None:
        await lines.readline()
        self._calm = True

    async def receive(self) -> None:
        orders = self._orders
        async with DeviceReceiver.from_connection_string(
            orders.connection_string,
            transport=DEVICE_TRANSPORTS[orders.transport],
            payload_type=str,
            retry=RETRY,
            ssl_context=ssl.create_default_context(cafile=orders.ca_file),
        ) as receiver:
            with ends_with_an_error(receiver.connection):
                async for message in receiver:
                    tell("delivered", message.payload, message.delivery_count)
                    await asyncio.sleep(self._random.uniform(0, LONGEST_WORK))
                    settlement = choose(self._random, orders.transport, calm=self._calm)
                    await settle(Teller(message.payload), message, settlement, orders.transport)


async def main() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    device = Device(Orders(**json.loads(await lines.readline())))
    calming = asyncio.create_task(device.calm_down(lines))
    try:
        await device.receive()
    except C2dError as error:
        tell("ended", "", type(error).__name__)
    finally:
        calming.cancel()


if __name__ == "__main__":
    asyncio.run(main())
