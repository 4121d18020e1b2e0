"""Serve one run: ``python -m bench.peer mqtt|amqp --host H --port P --certificate PEM [...]``."""

from __future__ import annotations

import argparse
import asyncio
import ssl

from bench.peer._amqp import AmqpFlood
from bench.peer._mqtt import MqttFlood
from bench.peer._score import Score, say

FLOODS: dict[str, type[MqttFlood | AmqpFlood]] = {"mqtt": MqttFlood, "amqp": AmqpFlood}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__)
    parser.add_argument("protocol", choices=sorted(FLOODS))
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", required=True, help="PEM file with the private key and the certificate chain")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--window", type=int, default=1000, help="most messages in flight; 0 sends nothing at all")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate)
    flood = FLOODS[arguments.protocol]
    flood.prepare()
    score = Score(arguments.messages, arguments.seconds)
    server = await asyncio.get_running_loop().create_server(
        lambda: flood(score, arguments.window), arguments.host, arguments.port, ssl=context, backlog=512
    )
    say("listening", port=server.sockets[0].getsockname()[1])
    await score.over.wait()


if __name__ == "__main__":
    asyncio.run(_serve(_arguments()))
