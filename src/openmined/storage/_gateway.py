"""Reading: the Trustless Gateway, single blocks and archives.

Source: https://specs.ipfs.tech/http-gateways/trustless-gateway/.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Send

from openmined.storage._blocks import BlockStore
from openmined.storage._car import CAR_TYPE, car_section_head, encode_car_header
from openmined.storage._cid import CID
from openmined.storage._dagpb import Block, linked_cids
from openmined.storage._errors import BadCID, BlockGone, BlockNotFound, StorageError

RAW_TYPE = "application/vnd.ipld.raw"

_EMPTY_IDENTITY = "bafkqaaa"  # the empty block by the identity hash: how gateways are probed
_FOREVER = "public, max-age=29030400, immutable"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, X-Ipfs-Path, X-Ipfs-Roots",
}
_MAX_DEPTH = 64
_log = logging.getLogger(__name__)


class _BadRequest(Exception):
    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


class _ArchiveResponse(StreamingResponse):
    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except StorageError as error:
            # The status is long sent. A body left open makes the server break the connection,
            # and that tells the reader that the archive is not whole.
            _log.warning("an archive was cut short: %s", error)


@dataclass(frozen=True, slots=True)
class _Wish:
    archive: bool
    scope: str = "all"
    repeat: bool = False


class Gateway:
    """Answers `GET /ipfs/{cid}` for whoever asks, only with what can be verified."""

    def __init__(self, blocks: BlockStore) -> None:
        self._blocks = blocks

    async def get(self, request: Request) -> Response:
        """Serve a block (`format=raw`) or an archive (`format=car`)."""
        text = request.path_params["path"]
        try:
            wish = _read_wish(request)
            if text == _EMPTY_IDENTITY:
                return Response(b"", headers=_CORS, media_type=RAW_TYPE)
            return await self._answer(request, CID.parse(text.rstrip("/")), wish)
        except _BadRequest as error:
            return _refusal(str(error), error.status)
        except BadCID as error:
            return _refusal(str(error), 400)
        except BlockGone as error:
            return _refusal(str(error), 410)
        except BlockNotFound as error:
            only_cached = request.headers.get("cache-control") == "only-if-cached"
            return _refusal(str(error), 412 if only_cached else 404)
        except StorageError as error:
            return _refusal(str(error), 500)

    async def preflight(self, _request: Request) -> Response:
        """Let web pages read."""
        return Response(status_code=204, headers=_CORS)

    async def _answer(self, request: Request, cid: CID, wish: _Wish) -> Response:
        headers = _headers(cid, wish)
        size = await run_in_threadpool(self._blocks.size, cid)
        if _is_known(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if wish.archive:
            kind = f"{CAR_TYPE}; version=1; order=dfs; dups={'y' if wish.repeat else 'n'}"
            if request.method == "HEAD":
                return Response(headers=headers, media_type=kind)
            pieces = self._archive(await run_in_threadpool(self._block, cid), wish)
            return _ArchiveResponse(pieces, headers=headers, media_type=kind)
        if request.method == "HEAD":
            headers["Content-Length"] = str(size)
            return Response(headers=headers, media_type=RAW_TYPE)
        data = await run_in_threadpool(self._blocks.get, cid)
        return Response(data, headers=headers, media_type=RAW_TYPE)

    def _archive(self, root: Block, wish: _Wish) -> Iterator[bytes]:
        yield encode_car_header(root.cid)
        for block in self._walk(root, wish):
            yield car_section_head(block)
            yield block.data

    def _walk(self, root: Block, wish: _Wish) -> Iterator[Block]:
        sent = {root.cid}
        yield root
        pending = [iter(linked_cids(root) if wish.scope != "block" else [])]
        while pending:
            cid = next(pending[-1], None)
            if cid is None:
                pending.pop()
            elif wish.repeat or cid not in sent:
                sent.add(cid)
                block = self._block(cid)
                yield block
                if len(pending) < _MAX_DEPTH:
                    pending.append(iter(linked_cids(block)))

    def _block(self, cid: CID) -> Block:
        return Block(cid, self._blocks.get(cid))


def _read_wish(request: Request) -> _Wish:
    query = request.query_params
    accepted = request.headers.get("accept", "")
    chosen = query.get("format") or _format_of(accepted)
    if chosen not in ("raw", "car"):
        raise _BadRequest(
            "this gateway gives verifiable answers only: ask for ?format=raw or ?format=car, "
            f"or Accept: {RAW_TYPE} or {CAR_TYPE}",
            406 if "format" not in query else 400,
        )
    if chosen == "raw":
        return _Wish(archive=False)
    wanted = _parameters(accepted)
    scope = query.get("dag-scope", "all")
    version = query.get("car-version", wanted.get("version", "1"))
    repeat = query.get("car-dups", wanted.get("dups", "n"))
    if scope not in ("all", "entity", "block") or version != "1" or repeat not in ("y", "n"):
        raise _BadRequest(
            f"dag-scope={scope[:20]!r}, version={version[:20]!r}, dups={repeat[:20]!r}: this "
            "gateway gives CAR version 1, dups y or n, scope all, entity or block"
        )
    if "entity-bytes" in query:
        raise _BadRequest("entity-bytes is not offered here: ask for blocks with ?format=raw")
    return _Wish(archive=True, scope=scope, repeat=repeat == "y")


def _format_of(accept: str) -> str:
    for choice in accept.split(","):
        kind = choice.split(";")[0].strip().lower()
        if kind == RAW_TYPE:
            return "raw"
        if kind == CAR_TYPE:
            return "car"
    return ""


def _parameters(accept: str) -> dict[str, str]:
    for choice in accept.split(","):
        kind, *parameters = (part.strip() for part in choice.split(";"))
        if kind.lower() == CAR_TYPE:
            return {
                name.strip(): value.strip()
                for name, _, value in (parameter.partition("=") for parameter in parameters)
            }
    return {}


def _headers(cid: CID, wish: _Wish) -> dict[str, str]:
    kind = "car" if wish.archive else "bin"
    tag = f'"{cid}.raw"'
    if wish.archive:
        variant = hashlib.sha256(f"{wish.scope} {wish.repeat}".encode()).hexdigest()[:12]
        tag = f'W/"{cid}.car.{variant}"'
    return _CORS | {
        "Cache-Control": _FOREVER,
        "Content-Disposition": f'attachment; filename="{cid}.{kind}"',
        "ETag": tag,
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
        "X-Ipfs-Path": f"/ipfs/{cid}",
        "X-Ipfs-Roots": str(cid),
    }


def _is_known(request: Request, tag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or tag in (part.strip() for part in known.split(","))


def _refusal(reason: str, status: int) -> Response:
    return PlainTextResponse(reason + "\n", status, headers=_CORS | {"Cache-Control": "no-store"})
