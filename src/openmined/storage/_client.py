"""A store at a URL: writes by Kubo's RPC, reads by the Trustless Gateway, trusts neither.

Sources: https://docs.ipfs.tech/reference/kubo/rpc/ and
https://specs.ipfs.tech/http-gateways/trustless-gateway/.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic_core import from_json

from openmined.storage._archive import ArchiveFetcher
from openmined.storage._car import CAR_TYPE, CarParser
from openmined.storage._cid import CID, RAW, check_block, shown
from openmined.storage._dagpb import MAX_BLOCK_BYTES, Block
from openmined.storage._errors import BlockMismatch, StoreRefused
from openmined.storage._http import Endpoint, RetryPolicy, is_loopback
from openmined.storage._multipart import Upload
from openmined.storage._source import (
    Plan,
    Source,
    blocks_of,
    car_pieces,
    plan_upload,
    replayable,
)
from openmined.storage._store import check_manifest_size, manifest_block
from openmined.storage._unixfs import read_file

_RAW_TYPE = "application/vnd.ipld.raw"
_CAR_ACCEPT = f"{CAR_TYPE}; version=1; order=dfs; dups=y"
_MAX_ANSWER_BYTES = 64 * 1024
_DEFAULT_RETRY = RetryPolicy()


class KuboStore:
    """A Kubo node, an IPFS gateway in front of one, or `openmined store`.

    Every block is checked against its CID, whoever served it. Safe to use from several threads;
    close it when done.
    """

    def __init__(
        self,
        url: str,
        gateway_url: str | None = None,
        *,
        timeout_s: float = 30.0,
        retry: RetryPolicy = _DEFAULT_RETRY,
        transport: httpx.BaseTransport | None = None,
        write_token: str | None = None,
    ) -> None:
        # A proxy named in the environment has no way to a store on this machine.
        local = is_loopback(url) and is_loopback(gateway_url or url)
        self._client = httpx.Client(transport=transport, trust_env=not local)
        self._authorization = {"Authorization": f"Bearer {write_token}"} if write_token else {}
        self._rpc = Endpoint(self._client, url, timeout_s, retry)
        self._gateway = Endpoint(self._client, gateway_url or url, timeout_s, retry)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def version(self) -> str:
        """Return what the node says it is; a way to see whether it answers."""
        answer = self._post("/api/v0/version", {}, "its version")
        return str(answer[0].get("Version", "unknown"))[:100] if answer else "unknown"

    def put_manifest_bytes(self, data: bytes) -> bytes:
        """Keep a manifest (at most 1 MiB); return its sha2-256 digest, 32 bytes."""
        block = manifest_block(data)
        self._put_block(block)
        return block.cid.digest

    def get_manifest_bytes(self, digest: bytes) -> bytes:
        """Return the manifest with that digest, verified."""
        cid = CID(RAW, digest)
        data = self._fetch_block(cid)
        check_manifest_size(cid, len(data))
        return data

    def put_blob(self, data: Source) -> tuple[str, int]:
        """Keep a file of any size; return its CID and its size in bytes.

        A file is read twice, first to know its CID: what the node then says must agree.
        """
        with replayable(data) as source:
            plan = plan_upload(source)
            if plan.blocks == 1:
                [block] = blocks_of(source, plan)
                self._put_block(block)
            else:
                self._import(source, plan)
        return str(plan.root.cid), plan.root.file_bytes

    def get_blob(self, cid: str, max_bytes: int) -> bytes:
        """Return a file of at most `max_bytes`, verified block by block."""
        return b"".join(self.stream_blob(cid, max_bytes))

    def stream_blob(self, cid: str, max_bytes: int) -> Iterator[bytes]:
        """Yield a file in pieces of at most 2 MiB, each verified, in order.

        A file of several blocks comes as one archive; blocks that the archive lacks, because
        the node does not send archives or the connection broke, are fetched one by one.
        """
        root = CID.parse(cid)
        if root.codec == RAW:
            yield from read_file(root, self._fetch_block, max_bytes)
            return
        with closing(self._open_archive(root)) as archive:
            fetcher = ArchiveFetcher(archive, self._fetch_block)
            yield from read_file(root, fetcher.fetch, max_bytes)

    def _fetch_block(self, cid: CID) -> bytes:
        def consume(response: httpx.Response) -> bytes:
            return self._gateway.body(response, MAX_BLOCK_BYTES, f"block {cid}")

        data = self._gateway.call(
            lambda: self._gateway.request(
                "GET", f"/ipfs/{cid}", {"format": "raw"}, {"Accept": _RAW_TYPE}
            ),
            consume,
            f"block {cid}",
        )
        return check_block(cid, data, self._gateway.url)

    def _open_archive(self, root: CID) -> Generator[Block]:
        """Yield verified blocks of an archive; end quietly where the connection does."""
        subject = f"the archive of {root}"
        request = self._gateway.request(
            "GET", f"/ipfs/{root}", {"format": "car"}, {"Accept": _CAR_ACCEPT}
        )
        parser = CarParser(self._gateway.url)
        with self._gateway.once(request, subject) as response:
            if not response.headers.get("Content-Type", "").startswith(CAR_TYPE):
                return
            for chunk in self._gateway.chunks(response, subject):
                for block in parser.feed(chunk):
                    check_block(block.cid, block.data, self._gateway.url)
                    yield block

    def _put_block(self, block: Block) -> None:
        codec = "raw" if block.cid.codec == RAW else "dag-pb"
        parameters = {"cid-codec": codec, "mhtype": "sha2-256", "pin": "true"}
        upload = Upload.of(len(block.data))
        answer = self._post(
            "/api/v0/block/put",
            parameters,
            f"block {block.cid}",
            upload.headers,
            lambda: upload.body([block.data]),
        )
        self._check_answer(block.cid, [line.get("Key") for line in answer])

    def _import(self, source: Source, plan: Plan) -> None:
        upload = Upload.of(plan.car_bytes)
        answer = self._post(
            "/api/v0/dag/import",
            {"pin-roots": "true"},
            f"file {plan.root.cid}",
            upload.headers,
            lambda: upload.body(car_pieces(source, plan)),
        )
        roots = [line["Root"] for line in answer if isinstance(line.get("Root"), dict)]
        for found in roots:
            if reason := found.get("PinErrorMsg"):
                raise StoreRefused(
                    f"{self._rpc.url} did not pin {plan.root.cid}: {shown(str(reason))}"
                )
        self._check_answer(plan.root.cid, [_link_text(found.get("Cid")) for found in roots])

    def _check_answer(self, cid: CID, found: list[object]) -> None:
        if found != [str(cid)]:
            raise BlockMismatch(
                f"{self._rpc.url} says it kept {shown(str(found))} where {cid} was sent: "
                "do not use this store"
            )

    def _post(
        self,
        path: str,
        parameters: dict[str, str],
        subject: str,
        headers: dict[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
    ) -> list[dict[str, Any]]:
        sent = self._authorization | (headers or {})

        def request() -> httpx.Request:
            return self._rpc.request("POST", path, parameters, sent, body() if body else None)

        def consume(response: httpx.Response) -> bytes:
            return self._rpc.body(response, _MAX_ANSWER_BYTES, f"its answer about {subject}")

        answer = self._rpc.call(request, consume, subject)
        return _json_lines(answer, self._rpc.url, subject)


def connect_store(
    url: str,
    gateway_url: str | None = None,
    timeout_s: float = 30.0,
    write_token: str | None = None,
) -> KuboStore:
    """Return the client of a store: `url` takes writes (Kubo RPC), `gateway_url` gives reads.

    `openmined store` does both at one URL. For a Kubo node on this machine they are
    http://127.0.0.1:5001 and http://127.0.0.1:8080. No call is made yet. `timeout_s` bounds
    each wait for bytes, not a whole transfer. `write_token` is sent with writes only, as the
    bearer token that Kubo and `openmined store` can be set to ask for.

    Raises:
        BadStoreURL: if a URL is none of http or https, or holds a password.
    """
    return KuboStore(url, gateway_url, timeout_s=timeout_s, write_token=write_token)


def _link_text(value: object) -> object:
    return value.get("/") if isinstance(value, dict) else value


def _json_lines(answer: bytes, url: str, subject: str) -> list[dict[str, Any]]:
    try:
        lines = [from_json(line) for line in answer.splitlines() if line.strip()]
    except ValueError as error:  # also when nested too deep
        raise StoreRefused(
            f"{url} answered about {subject} with something that is not JSON: "
            "is this the RPC port of the store?"
        ) from error
    if any(not isinstance(line, dict) for line in lines):
        raise StoreRefused(
            f"{url} answered about {subject} with JSON that is no object: "
            "is this the RPC port of the store?"
        )
    return lines
