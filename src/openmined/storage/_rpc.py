"""Writing: the part of Kubo's HTTP RPC that uploads need, in Kubo's own shapes.

Source: https://docs.ipfs.tech/reference/kubo/rpc/.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from openmined import __version__
from openmined.storage._blocks import BlockStore
from openmined.storage._car import CarParser
from openmined.storage._cid import CID, DAG_PB, RAW, check_block
from openmined.storage._dagpb import MAX_BLOCK_BYTES, Block, linked_cids
from openmined.storage._errors import (
    BlobTooLarge,
    BlockGone,
    BlockNotFound,
    FolderError,
    QuotaExceeded,
    StorageError,
)
from openmined.storage._multipart import (
    PartEnd,
    PartEvent,
    PartStart,
    UploadReader,
)
from openmined.storage._unixfs import CHUNK_BYTES, PROFILE, WIDTH, FileBuilder

Handler = Callable[[Request], Awaitable[Response]]

_BATCH_BYTES = 8 << 20
_UPLOADS_AT_ONCE = 16
_CODECS = {"raw": RAW, "dag-pb": DAG_PB}
_ADD_PARAMETERS = {
    "cid-version": {"1"},
    "raw-leaves": {"true"},
    "chunker": {f"size-{CHUNK_BYTES}"},
    "max-file-links": {str(WIDTH)},
    "hash": {"sha2-256"},
    "trickle": {"false"},
    "inline": {"false"},
    "wrap-with-directory": {"false"},
    "nocopy": {"false"},
}


class _BadArgument(StorageError):
    pass


class _Stalled(StorageError):
    pass


_STATUS: list[tuple[type[StorageError], int]] = [
    (BlobTooLarge, 413),
    (QuotaExceeded, 507),
    (BlockGone, 410),
    (BlockNotFound, 500),
    (FolderError, 500),
    (_Stalled, 408),
]


class RPC:
    """Kubo's commands, as far as they are offered. Everything kept is pinned for good."""

    def __init__(self, blocks: BlockStore, max_upload_bytes: int, stalled_s: float) -> None:
        self._blocks = blocks
        self._max_upload_bytes = max_upload_bytes
        self._stalled_s = stalled_s
        self._slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by path below /api/v0/."""
        return {
            "add": _answered(self._add),
            "block/get": _answered(self._block_get),
            "block/put": _answered(self._block_put),
            "block/stat": _answered(self._block_stat),
            "dag/import": _answered(self._dag_import),
            "id": _answered(self._id),
            "pin/add": _answered(self._pin_add),
            "version": _answered(self._version),
        }

    async def _version(self, _request: Request) -> Response:
        return JSONResponse({"Version": f"openmined-store/{__version__}", "Repo": "1"})

    async def _id(self, _request: Request) -> Response:
        agent = f"openmined-store/{__version__}"
        return JSONResponse({"ID": "", "Addresses": [], "AgentVersion": agent, "Protocols": []})

    async def _block_get(self, request: Request) -> Response:
        data = await run_in_threadpool(self._blocks.get, _argument(request))
        return Response(data, media_type="application/octet-stream")

    async def _block_stat(self, request: Request) -> Response:
        cid = _argument(request)
        size = await run_in_threadpool(self._blocks.size, cid)
        return JSONResponse({"Key": str(cid), "Size": size})

    async def _pin_add(self, request: Request) -> Response:
        cid = _argument(request)
        await run_in_threadpool(self._check_complete, cid)
        return JSONResponse({"Pins": [str(cid)]})

    async def _block_put(self, request: Request) -> Response:
        codec = _CODECS.get(request.query_params.get("cid-codec", "raw"))
        if codec is None or request.query_params.get("mhtype", "sha2-256") != "sha2-256":
            raise _BadArgument("this store keeps raw and dag-pb blocks under sha2-256 only")
        answers = []
        content = bytearray()
        async for event in self._events(request):
            if isinstance(event, bytes):
                content += event
                if len(content) > MAX_BLOCK_BYTES:
                    raise BlobTooLarge(f"a block has at most {MAX_BLOCK_BYTES} bytes")
            elif isinstance(event, PartEnd):
                data = bytes(content)
                block = Block(CID.of(data, codec), data)
                linked_cids(block)  # a dag-pb block that cannot be read is refused here
                await run_in_threadpool(self._blocks.put, [block])
                answers.append({"Key": str(block.cid), "Size": len(content)})
                content.clear()
        return _lines(answers)

    async def _add(self, request: Request) -> Response:
        for name, allowed in _ADD_PARAMETERS.items():
            if (value := request.query_params.get(name)) is not None and value not in allowed:
                raise _BadArgument(
                    f"{name}={value[:40]!r} would give another CID: this store writes profile "
                    f"{PROFILE} only, with {name}={' or '.join(sorted(allowed))}"
                )
        keep = request.query_params.get("only-hash") != "true"
        answers = []
        batch = _Batch(self._blocks, keep=keep)
        builder, name = FileBuilder(), ""
        async for event in self._events(request):
            if isinstance(event, PartStart):
                if event.content_type.startswith("application/x-directory"):
                    raise _BadArgument("folders are not kept here: add single files")
                builder, name = FileBuilder(), event.filename
            elif isinstance(event, bytes):
                await batch.add(builder.feed(event))
            else:
                blocks, root = builder.finish()
                await batch.add(blocks)
                await batch.flush()
                cid, size = str(root.cid), str(root.total_bytes)
                answers.append({"Name": name or cid, "Hash": cid, "Size": size})
        return _lines(answers)

    async def _dag_import(self, request: Request) -> Response:
        roots: list[CID] = []
        batch = _Batch(self._blocks, check=True)
        parser = CarParser("this upload")
        count = size = 0
        async for event in self._events(request):
            if isinstance(event, PartStart):
                parser = CarParser("this upload")
            elif isinstance(event, bytes):
                for block in parser.feed(event):
                    count, size = count + 1, size + len(block.data)
                    await batch.add([block])
            else:
                parser.finish()
                roots += parser.roots or ()
        await batch.flush()
        answers: list[dict[str, Any]] = []
        if request.query_params.get("pin-roots", "true") == "true":
            answers = [await run_in_threadpool(self._pin_root, root) for root in roots]
        if request.query_params.get("stats") == "true":
            answers.append({"Stats": {"BlockCount": count, "BlockBytesCount": size}})
        return _lines(answers)

    def _pin_root(self, root: CID) -> dict[str, Any]:
        problem = ""
        try:
            self._check_complete(root)
        except StorageError as error:
            problem = str(error)
        return {"Root": {"Cid": {"/": str(root)}, "PinErrorMsg": problem}}

    def _check_complete(self, root: CID) -> None:
        seen = {root}
        pending = [root]
        while pending:
            cid = pending.pop()
            if cid.codec == RAW:
                self._blocks.size(cid)
                continue
            for link in linked_cids(Block(cid, self._blocks.get(cid))):
                if link not in seen:
                    seen.add(link)
                    pending.append(link)

    async def _events(self, request: Request) -> AsyncIterator[PartEvent]:
        claimed = request.headers.get("content-length", "0")
        if not claimed.isdecimal() or int(claimed) > self._max_upload_bytes:
            raise self._too_large()
        reader = UploadReader(request.headers.get("content-type", ""))
        received = 0
        async with self._slots:
            async for chunk in _unstalled(request.stream(), self._stalled_s):
                received += len(chunk)
                if received > self._max_upload_bytes:
                    raise self._too_large()
                for event in reader.feed(chunk):
                    yield event
        reader.finish()

    def _too_large(self) -> BlobTooLarge:
        return BlobTooLarge(f"an upload has at most {self._max_upload_bytes} bytes here")


class _Batch:
    """Gathers blocks to check and write several at once, off the event loop."""

    def __init__(self, blocks: BlockStore, *, check: bool = False, keep: bool = True) -> None:
        self._blocks = blocks
        self._check = check
        self._keep = keep
        self._waiting: list[Block] = []
        self._bytes = 0

    async def add(self, blocks: list[Block]) -> None:
        self._waiting += blocks
        self._bytes += sum(len(block.data) for block in blocks)
        if self._bytes >= _BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        blocks, self._waiting, self._bytes = self._waiting, [], 0
        if blocks and self._keep:
            await run_in_threadpool(self._put, blocks)

    def _put(self, blocks: list[Block]) -> None:
        if self._check:
            for block in blocks:
                check_block(block.cid, block.data, "this upload")
        self._blocks.put(blocks)


async def _unstalled(chunks: AsyncIterator[bytes], longest_s: float) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(longest_s):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise _Stalled(f"the upload sent nothing for {longest_s:g} s: send it again") from None
        if chunk is None:
            return
        yield chunk


def _argument(request: Request) -> CID:
    values = request.query_params.getlist("arg")
    if len(values) != 1:
        raise _BadArgument("name one CID: ?arg=CID")
    return CID.parse(values[0].removeprefix("/ipfs/"))


def _answered(handler: Handler) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return rpc_error("the upload broke off", 400)
        except StorageError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 400)
            return rpc_error(str(error), status)

    return answered


def rpc_error(message: str, status: int) -> JSONResponse:
    """Return an error in the shape of Kubo's."""
    return JSONResponse({"Message": message, "Code": 0, "Type": "error"}, status)


def _lines(answers: list[dict[str, Any]]) -> Response:
    text = "".join(json.dumps(answer) + "\n" for answer in answers)
    return Response(text, media_type="application/json")
