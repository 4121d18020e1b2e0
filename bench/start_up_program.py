"""One start in a process of its own: imports, gets ready, says what that took, and stays until it is killed."""

# Each kind imports what it takes, while the clock runs.
# ruff: noqa: PLC0415
from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402 - the clock comes first
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402

KINDS = ("interpreter", "TLS server", "LocalHub", "BackgroundHub")


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - pathlib is no part of a bare interpreter
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _report(imported: float, entered: float, ready: float, **more: object) -> None:
    took = {"import_seconds": imported - STARTED, "enter_seconds": ready - entered}
    print(json.dumps({"event": "ready", **took, "bytes": _resident_bytes(), **more}), flush=True)


def _interpreter() -> None:
    _report(STARTED, STARTED, STARTED)
    signal.pause()


def _tls_server(certificate: str) -> None:
    import asyncio
    import ssl

    imported = time.perf_counter()

    async def serve() -> None:
        entered = time.perf_counter()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

        async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(visit, "localhost", 0, ssl=context) as server:
            _report(imported, entered, time.perf_counter(), port=server.sockets[0].getsockname()[1])
            await asyncio.Event().wait()

    asyncio.run(serve())


def _local_hub(devices: int, more_hubs: int) -> None:
    import asyncio
    from contextlib import AsyncExitStack

    from c2dkit.hub import LocalHub

    imported = time.perf_counter()

    async def serve() -> None:
        entered = time.perf_counter()
        async with AsyncExitStack() as stack:
            names = [f"dev-{number}" for number in range(devices)]
            hub = await stack.enter_async_context(LocalHub(devices=names))
            ready = time.perf_counter()
            strings = [hub.device_connection_string(name) for name in names]
            facts = {"port": hub.port, "ca_file": str(hub.ca_file), "owner": hub.owner_connection_string}
            _report(imported, entered, ready, devices=strings, **facts)
            before = _resident_bytes()
            for _ in range(more_hubs):
                await stack.enter_async_context(LocalHub())
            print(json.dumps({"event": "hubs", "bytes": _resident_bytes() - before}), flush=True)
            await asyncio.Event().wait()

    asyncio.run(serve())


def _background_hub() -> None:
    from c2dkit.hub import BackgroundHub, LocalHub

    imported = time.perf_counter()
    with BackgroundHub(LocalHub()):
        _report(imported, imported, time.perf_counter())
        signal.pause()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start_up_program")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--certificate", default="")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--more-hubs", type=int, default=0)
    arguments = parser.parse_args()
    match arguments.kind:
        case "interpreter":
            _interpreter()
        case "TLS server":
            _tls_server(arguments.certificate)
        case "LocalHub":
            _local_hub(arguments.devices, arguments.more_hubs)
        case _:
            _background_hub()


if __name__ == "__main__":
    _main()
