"""``c2dkit fault``: has something go wrong on a hub that runs already."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import anyio
import typer
from pydantic import BaseModel, ValidationError

from c2dkit._errors import C2dError, InvalidInputError
from c2dkit._rules.credentials import ServiceCredential
from c2dkit.hub import Fault
from c2dkit.hub._http_faults import FAULTS_PATH
from c2dkit.transports._https_client import HttpsClient

__all__ = ["fault"]

MAX_ANSWER_BYTES = 65_536


class _Ports(BaseModel):
    amqp: int


class _Ready(BaseModel):
    owner_connection_string: str
    ports: _Ports
    ca_file: str


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
            help="Instead of the file: that of the policy iothubowner, with the hub's port (HostName=localhost:5671).",
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
            credential, ca_file = _read(ready_file)
        elif connection_string is not None:
            credential = ServiceCredential.from_connection_string(connection_string)
        else:
            raise InvalidInputError("say which hub: --ready-file, or --connection-string and --ca-file")
        context = _trust(ca_file)
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


def _read(ready_file: Path) -> tuple[ServiceCredential, Path]:
    try:
        told = _Ready.model_validate_json(ready_file.read_bytes())
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"No such file: {ready_file}. `c2dkit hub --ready-file` has it there as long as that hub runs"
        ) from error
    except ValidationError as error:
        raise InvalidInputError(f"{ready_file} is not what `c2dkit hub --ready-file` writes") from error
    credential = ServiceCredential.from_connection_string(told.owner_connection_string)
    # Every port takes HTTPS; a connection string without a port would lead to 443, which few hubs listen on.
    return replace(credential, port=told.ports.amqp), Path(told.ca_file)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # which names no file; an SSLError is one
        raise InvalidInputError(f"{ca_file} cannot be used: {error.strerror or error}") from error
