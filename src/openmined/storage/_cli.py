"""`openmined store`: run the node, add and get files, check a folder."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from openmined.storage._cid import CID
from openmined.storage._client import connect_store
from openmined.storage._errors import FolderError, StorageError
from openmined.storage._folder import FolderBlocks
from openmined.storage._http import is_loopback
from openmined.storage._serve import open_node
from openmined.storage._settings import NodeSettings, read_token

app = typer.Typer(
    help="Keep and serve content-addressed blocks.", no_args_is_help=True, add_completion=False
)

_GIB = 1 << 30
_DEFAULT_URL = "http://127.0.0.1:5001"
_URL = Annotated[str, typer.Option("--store", help="The store's URL (Kubo RPC).")]
_GatewayURL = Annotated[
    str | None, typer.Option("--gateway", help="Where to read, if not at the store's URL.")
]
_Folder = Annotated[Path, typer.Option(help="The folder that holds the blocks.")]


@app.command()
def serve(
    folder: _Folder,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5001,
    quota_gib: Annotated[float, typer.Option(min=0, help="Keep at most this much.")] = 20.0,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name under which writers may call.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="The origin of a web page that may write.")
    ] = None,
    write_token_file: Annotated[
        Path | None, typer.Option(help="A file, yours alone, with the token writers must show.")
    ] = None,
    open_writes: Annotated[
        bool, typer.Option("--open-writes", help="Let the whole network write, up to the quota.")
    ] = False,
) -> None:
    """Serve a folder: writes by Kubo's RPC, reads by the IPFS Trustless Gateway."""
    if not (is_loopback(f"http://{host}") or write_token_file or open_writes):
        raise typer.BadParameter(
            f"others could write to {host}: give --write-token-file, or --open-writes to permit it"
        )
    settings = NodeSettings(
        frozenset(allow_host or ()),
        frozenset(allow_origin or ()),
        write_token=read_token(write_token_file) if write_token_file else None,
    )
    node = open_node(folder, host, port, quota_bytes=int(quota_gib * _GIB), settings=settings)
    typer.echo(f"store ready at {node.url}")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        node.run()


@app.command()
def add(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    store: _URL = _DEFAULT_URL,
    write_token_file: Annotated[
        Path | None, typer.Option(help="The file with the store's write token.")
    ] = None,
) -> None:
    """Add a file and print its CID."""
    token = read_token(write_token_file) if write_token_file else None
    with connect_store(store, write_token=token) as client:
        cid, _ = client.put_blob(file)
    typer.echo(cid)


@app.command()
def get(
    cid: str,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here.")] = None,
    max_mib: Annotated[int, typer.Option(min=1, help="Refuse what is larger.")] = 1024,
    store: _URL = _DEFAULT_URL,
    gateway: _GatewayURL = None,
) -> None:
    """Fetch a file, verified block by block, to standard output or into a file."""
    with connect_store(store, gateway) as client:
        pieces = client.stream_blob(cid, max_mib << 20)
        if output is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        # Into place only when it is whole: half a file under its name would look like one.
        with tempfile.TemporaryDirectory(dir=output.absolute().parent) as folder:
            part = Path(folder) / "part"
            with part.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            part.replace(output)


@app.command()
def remove(cid: str, folder: _Folder) -> None:
    """Delete one block for good: the node then answers 410 Gone, and takes it from nobody."""
    _existing(folder).remove(CID.parse(cid))
    typer.echo(f"removed {cid}")


@app.command()
def verify(folder: _Folder) -> None:
    """Read every block of a folder and check it against its CID; exit 1 if one is damaged."""
    blocks = _existing(folder)
    sound = damaged = 0
    for cid in blocks.cids():
        try:
            blocks.get(cid)
            sound += 1
        except StorageError as error:
            damaged += 1
            typer.echo(str(error), err=True)
    typer.echo(f"{sound} blocks sound, {damaged} damaged")
    if damaged:
        raise typer.Exit(1)


def _existing(folder: Path) -> FolderBlocks:
    if not (folder / "VERSION").is_file():
        raise FolderError(f"{folder} is no store: name the folder given to `store serve`")
    return FolderBlocks(folder)
