"""``c2dkit fault``: has something go wrong on a hub that runs already."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import quote

import anyio
import typer

from c2dkit._errors import C2dError, InvalidInputError
from c2dkit._rules.credentials import ServiceCredential
from c2dkit.hub import Fault
from c2dkit.hub._http_faults import FAULTS_PATH
from c2dkit.transports._https_client import HttpsClient

__all__ = ["fault"]

MAX_ANSWER_BYTES = 65_536


def fault(
    text: Annotated[
        str | None, typer.Argument(metavar="FAULT", help='For example "drop device=dev-1 after=5 times=3".')
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Withdraw every fault of the hub first.")] = False,  # noqa: FBT002 - a flag
    ready_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="What `c2dkit hub --ready-file` wrote: where the hub is.")
    ] = None,
    connection_string: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="C2DKIT_OWNER_CONNECTION_STRING",
            show_envvar=True,
            help="Instead of the file: that of the policy iothubowner.",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="With a connection string: the hub's certificate authority.")
    ] = None,
) -> None:
    """Have something go wrong on a local hub that runs already, by its private address."""
    try:
        wanted = None if text is None else Fault.parse(text)
        if wanted is None and not clear:
            raise InvalidInputError('say which fault, for example "drop device=dev-1", or --clear')
        if ready_file is not None:
            connection_string, ca_file = _read(ready_file)
        if connection_string is None:
            raise InvalidInputError("say which hub: --ready-file, or --connection-string and --ca-file")
        credential = ServiceCredential.from_connection_string(connection_string)
        context = ssl.create_default_context(cafile=ca_file)
        anyio.run(_tell, credential, context, wanted, clear)
    except (C2dError, OSError) as error:
        typer.secho(f"c2dkit fault: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1) from error


async def _tell(credential: ServiceCredential, context: ssl.SSLContext, wanted: Fault | None, clear: bool) -> None:  # noqa: FBT001
    client = HttpsClient(credential, ssl_context=context, proxy=None)
    try:
        with anyio.fail_after(30):
            if clear:
                await client.request("DELETE", FAULTS_PATH, max_bytes=0, changes=True, doing="to withdraw the faults")
                typer.echo("every fault is withdrawn")
            if wanted is not None:
                query = f"fault={quote(str(wanted), safe='')}"
                await client.request(
                    "POST", FAULTS_PATH, query=query, max_bytes=MAX_ANSWER_BYTES, changes=True, doing="the fault"
                )
                typer.echo(f"injected: {wanted}")
    finally:
        await client.close()


def _read(ready_file: Path) -> tuple[str, Path]:
    try:
        facts: object = json.loads(ready_file.read_text("utf-8"))
        told = cast("dict[str, str]", facts)
        return told["owner_connection_string"], Path(told["ca_file"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{ready_file} is not what `c2dkit hub --ready-file` writes") from error
