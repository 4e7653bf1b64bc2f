"""`openmined stats`: start the service, verify and rebuild its index."""

from __future__ import annotations

import logging
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from openmined.sonar import Network, load_network
from openmined.stats._api import create_app
from openmined.stats._chain import Chain
from openmined.stats._database import (
    Database,
    default_database,
    open_database,
    read_secret_url,
)
from openmined.stats._errors import DatabaseError, StatsError
from openmined.stats._export import export_snapshot
from openmined.stats._feed import Feed
from openmined.stats._indexer import Indexer, Progress
from openmined.stats._indexer import rebuild as rebuild_index
from openmined.stats._manifests import ManifestReader
from openmined.stats._rpc import Rpc
from openmined.stats._serve import end_on_signals, listen_on, make_server, working
from openmined.stats._service import Service
from openmined.stats._verify import verify as verify_index
from openmined.storage import connect_store

app = typer.Typer(help="Run the statistics service.", no_args_is_help=True, add_completion=False)

_err = Console(stderr=True, highlight=False)


class Part(StrEnum):
    """What of the service to run."""

    INDEXER = "indexer"
    API = "api"


_Network = Annotated[str, typer.Option("--network", help="A network this machine knows.")]
_Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="sqlite:///FILE, or postgresql://USER@HOST/NAME; if not given, a file in "
        "~/.openmined/stats.",
    ),
]
_DatabaseFile = Annotated[
    Path | None,
    typer.Option(
        "--database-file", help="A file, yours alone, with the URL: for one with a password."
    ),
]


@app.command()
def start(
    network: _Network = "devnet",
    database: _Database = None,
    database_file: _DatabaseFile = None,
    only: Annotated[Part | None, typer.Option(help="Run only this part.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8090,
    confirmations: Annotated[
        int, typer.Option(min=0, max=10_000, help="Stay this many blocks behind the newest.")
    ] = 0,
    from_block: Annotated[
        int | None, typer.Option(min=0, help="Where to begin; the deployment, if not given.")
    ] = None,
    poll_s: Annotated[float, typer.Option(min=0.05, help="How often to look for blocks.")] = 1.0,
    public_rpc: Annotated[
        str | None, typer.Option(help="A node's URL that web pages may be told.")
    ] = None,
) -> None:
    """Follow the chain and serve what was found, until interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    known = load_network(network)
    opened = open_database(_url(network, database, database_file), migrate=only is not Part.API)
    service = Service(opened, Feed(opened), network=known, public_rpc_url=public_rpc)
    indexer = reader = None
    if only is not Part.API:
        indexer = _indexer(known, opened, confirmations, from_block, service)
        reader = _reader(known, opened)
    try:
        _run(service, indexer, reader, None if only is Part.INDEXER else (host, port), poll_s)
    finally:
        opened.close()


@app.command()
def verify(
    network: _Network = "devnet",
    database: _Database = None,
    database_file: _DatabaseFile = None,
) -> None:
    """Rebuild the index from the chain beside it, and compare them row by row."""
    known = load_network(network)
    opened, chain = open_database(_url(network, database, database_file)), _chain(known)
    try:
        verdict = verify_index(
            opened, chain, from_block=known.first_block or None, on_progress=Ticker("rebuilt")
        )
    finally:
        chain.close()
        opened.close()
    for name, digest in verdict.digests.items():
        typer.echo(f"{digest[:16]}  {name}")
    typer.echo(f"equal to its rebuild: {verdict.rows} rows up to block {verdict.block_number}")


@app.command()
def rebuild(
    network: _Network = "devnet",
    database: _Database = None,
    database_file: _DatabaseFile = None,
) -> None:
    """Make the tables anew from the stored events; asks nothing of the chain."""
    opened = open_database(_url(network, database, database_file), migrate=True)
    try:
        count = rebuild_index(opened)
    finally:
        opened.close()
    typer.echo(f"rebuilt from {count} events")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write it; made if need be.")],
    network: _Network = "devnet",
    database: _Database = None,
    database_file: _DatabaseFile = None,
) -> None:
    """Write a static snapshot: every table as CSV and Parquet, totals and series as JSON."""
    opened = open_database(_url(network, database, database_file))
    try:
        index = export_snapshot(opened, folder)
    finally:
        opened.close()
    typer.echo(f"snapshot written: {index}")


# ------------------------------------------------------------------------------------------ wiring


def _url(network: str, database: str | None, file: Path | None) -> str:
    if file is not None:
        return read_secret_url(file)
    if database is None:
        return default_database(network)
    if "@" in database and ":" in database.split("://", 1)[-1].rsplit("@", 1)[0]:
        raise DatabaseError(
            "a password on the command line can be read by every user of this machine: put the URL "
            "into a file that only you can read, and give --database-file"
        )
    return database


def _chain(network: Network) -> Chain:
    return Chain(Rpc(network.rpc_url), network.sonar)


def _indexer(
    network: Network,
    database: Database,
    confirmations: int,
    from_block: int | None,
    service: Service,
) -> Indexer:
    chain = _chain(network)
    service.metrics.rpc_requests = chain.rpc.requests
    service.metrics.rpc_failures = chain.rpc.failures
    if from_block is None and network.first_block:
        from_block = network.first_block
    indexer = Indexer(database, chain, confirmations=confirmations, from_block=from_block)
    indexer.prepare()
    return indexer


def _reader(network: Network, database: Database) -> ManifestReader:
    return ManifestReader(database, connect_store(network.store_url, network.gateway_url))


def _run(
    service: Service,
    indexer: Indexer | None,
    reader: ManifestReader | None,
    address: tuple[str, int] | None,
    poll_s: float,
) -> None:
    server = listening = None
    if address is not None:
        listening = listen_on(*address)
        server = make_server(create_app(service))

    def give_up() -> None:
        if server is not None:
            server.should_exit = True

    with working(
        indexer,
        reader,
        metrics=service.metrics,
        poll_s=poll_s,
        on_progress=Ticker("indexed"),
        on_failure=give_up,
    ) as workers:
        end_on_signals(workers.stop)
        if server is not None and listening is not None:
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            typer.echo(f"statistics ready at http://{shown}:{port}")
            server.run(sockets=[listening])
        else:
            typer.echo("indexing; interrupt to end")
            workers.stop.wait()
    if workers.failure is not None:
        raise workers.failure
    if server is not None and not server.started:
        raise StatsError("the web service did not start")


class Ticker:
    """Says how far catching up is, now and then."""

    def __init__(self, verb: str, every_s: float = 2.0) -> None:
        self._verb = verb
        self._every_s = every_s
        self._events = 0
        self._began = self._said = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Note a step."""
        if progress.outcome == "advanced":
            self._events += progress.events
        now = time.monotonic()
        behind = progress.head - progress.block_number
        if progress.outcome != "advanced" or behind == 0 or now - self._said < self._every_s:
            return
        self._said = now
        rate = self._events / max(0.001, now - self._began)
        _err.print(
            f"{self._verb} block {progress.block_number} of {progress.head} "
            f"({100 * progress.block_number / max(1, progress.head):.1f} %), "
            f"{self._events} events, {rate:.0f} a second"
        )
