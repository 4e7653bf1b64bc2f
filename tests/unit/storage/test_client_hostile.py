"""Stores that lie, swell, stall and break: each gets one typed error, or is worked around."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx
import pytest

from openmined.storage import (
    CID,
    BadStoreURL,
    BlobTooLarge,
    BlockGone,
    BlockMismatch,
    BlockNotFound,
    KuboStore,
    MalformedBlock,
    MalformedCAR,
    MemoryStore,
    QuotaExceeded,
    StoreRefused,
    StoreUnreachable,
    cid_of_bytes,
    connect_store,
)
from openmined.storage import _http as http_module
from openmined.storage._car import CAR_TYPE, encode_car_header, encode_car_section
from openmined.storage._dagpb import MAX_BLOCK_BYTES, Block
from openmined.storage._wire import encode_varint

MIB = 1 << 20
BLOB = bytes(n % 251 for n in range(3 * MIB + 5))


def stored(data: bytes) -> tuple[MemoryStore, CID]:
    memory = MemoryStore()
    cid, _ = memory.put_blob(data)
    return memory, CID.parse(cid)


class Gateway:
    """An honest gateway that sends the archive a test gives it, and counts what is asked."""

    def __init__(self, data: bytes = BLOB) -> None:
        self.memory, self.root = stored(data)
        self.archive: bytes | Iterator[bytes] = b""
        self.archive_type = f"{CAR_TYPE}; version=1"
        self.asked: list[str] = []

    def block(self, cid: CID) -> Block:
        return Block(cid, self.memory.blocks.get(cid))

    def parts(self) -> list[Block]:
        """The blocks of the file, root first, then in order."""
        from openmined.storage._dagpb import linked_cids

        root = self.block(self.root)
        return [root, *(self.block(cid) for cid in linked_cids(root))]

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.params["format"])
        if request.url.params["format"] == "car":
            return httpx.Response(
                200, content=self.archive, headers={"Content-Type": self.archive_type}
            )
        return httpx.Response(200, content=self.block(CID.parse(request.url.path[6:])).data)


def archive_of(root: CID, blocks: list[Block]) -> bytes:
    return encode_car_header(root) + b"".join(map(encode_car_section, blocks))


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_one_request_fetches_a_whole_file(gateway: Gateway, connect) -> None:
    gateway.archive = archive_of(gateway.root, gateway.parts())
    assert connect(gateway.answer).get_blob(str(gateway.root), len(BLOB)) == BLOB
    assert gateway.asked == ["car"]


def test_archive_in_another_order_is_sorted(gateway: Gateway, connect) -> None:
    gateway.archive = archive_of(gateway.root, gateway.parts()[::-1])
    assert connect(gateway.answer).get_blob(str(gateway.root), len(BLOB)) == BLOB
    assert gateway.asked == ["car"]


def test_archive_without_repetitions_is_completed(connect) -> None:
    data = bytes(MIB) + BLOB[:MIB] + bytes(MIB) + BLOB[:MIB] + bytes(9)
    gateway = Gateway(data)
    once = list(dict.fromkeys(gateway.parts()))
    gateway.archive = archive_of(gateway.root, once)
    assert connect(gateway.answer).get_blob(str(gateway.root), len(data)) == data


@pytest.mark.parametrize("kept", [0, 20, 200, 2 * MIB])
def test_archive_cut_short_is_completed_block_by_block(
    gateway: Gateway, connect, kept: int
) -> None:
    gateway.archive = archive_of(gateway.root, gateway.parts())[:kept]
    assert connect(gateway.answer).get_blob(str(gateway.root), len(BLOB)) == BLOB
    assert gateway.asked.count("raw") >= 2


def test_connection_lost_within_an_archive_is_made_up_for(gateway: Gateway, connect) -> None:
    whole = archive_of(gateway.root, gateway.parts())

    def broken() -> Iterator[bytes]:
        yield whole[: 2 * MIB]
        raise httpx.ReadError("reset by peer")

    gateway.archive = broken()
    assert connect(gateway.answer).get_blob(str(gateway.root), len(BLOB)) == BLOB


@pytest.mark.parametrize("status", [400, 404, 406, 415, 429, 500, 501, 503])
def test_node_without_archives_is_read_block_by_block(
    gateway: Gateway, connect, status: int
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params["format"] == "car":
            return httpx.Response(status, text="no archives here")
        return gateway.answer(request)

    assert connect(answer).get_blob(str(gateway.root), len(BLOB)) == BLOB


def test_answer_of_another_type_is_no_archive(gateway: Gateway, connect) -> None:
    gateway.archive, gateway.archive_type = b"<html>hello</html>", "text/html"
    assert connect(gateway.answer).get_blob(str(gateway.root), len(BLOB)) == BLOB


def test_forged_block_in_an_archive_is_an_error_at_once(gateway: Gateway, connect) -> None:
    root, first, *rest = gateway.parts()
    forged = Block(first.cid, first.data[:-1] + b"!")
    gateway.archive = archive_of(gateway.root, [root, forged, *rest])
    with pytest.raises(BlockMismatch, match=f"http://store.test gave .* for {first.cid}"):
        connect(gateway.answer).get_blob(str(gateway.root), len(BLOB))
    assert gateway.asked == ["car"]


def test_forged_root_is_an_error(gateway: Gateway, connect) -> None:
    other = Gateway(BLOB[1:])
    forged = Block(gateway.root, other.parts()[0].data)
    gateway.archive = archive_of(gateway.root, [forged, *other.parts()[1:]])
    with pytest.raises(BlockMismatch, match=str(gateway.root)):
        connect(gateway.answer).get_blob(str(gateway.root), len(BLOB))


def test_forged_single_block_is_an_error(connect) -> None:
    store = connect(lambda _: httpx.Response(200, content=b"forged"))
    with pytest.raises(BlockMismatch, match=cid_of_bytes(b"right")):
        store.get_blob(cid_of_bytes(b"right"), 100)


def test_forged_manifest_is_an_error(connect) -> None:
    store = connect(lambda _: httpx.Response(200, content=b"{}"))
    with pytest.raises(BlockMismatch, match="do not use them"):
        store.get_manifest_bytes(bytes(32))


def test_section_that_claims_too_much_is_refused_unread(gateway: Gateway, connect) -> None:
    def swollen() -> Iterator[bytes]:
        yield encode_car_header(gateway.root) + encode_varint(1 << 40)
        pytest.fail("the client went on reading")

    gateway.archive = swollen()
    with pytest.raises(MalformedCAR, match="1099511627776"):
        connect(gateway.answer).get_blob(str(gateway.root), len(BLOB))


def test_archive_of_foreign_blocks_is_given_up(gateway: Gateway, connect) -> None:
    """Authentic, but not asked for: 32 MiB of them are set aside, then the stream is left."""
    sent = itertools.count()

    def foreign() -> Iterator[bytes]:
        yield encode_car_header(gateway.root)
        for number in itertools.islice(sent, 100):
            data = number.to_bytes(8) * (MIB // 8)
            yield encode_car_section(Block(CID.of(data), data))

    gateway.archive = foreign()
    assert connect(gateway.answer).get_blob(str(gateway.root), len(BLOB)) == BLOB
    assert next(sent) < 40


@pytest.mark.parametrize("claimed", [True, False])
def test_swollen_block_is_refused(connect, claimed: bool) -> None:
    def swollen() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(MIB // 8)
        pytest.fail("the client read far beyond the limit")

    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"Content-Length": str(1 << 40)} if claimed else {}
        return httpx.Response(200, content=swollen(), headers=headers)

    with pytest.raises(BlobTooLarge, match=f"more than {MAX_BLOCK_BYTES} bytes"):
        connect(answer).get_blob(cid_of_bytes(b"x"), 1)


@pytest.mark.parametrize("length", ["-1", "many", "1e9"])
def test_senseless_length_is_refused(connect, length: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=iter([b"x"]), headers={"Content-Length": length})

    with pytest.raises(BlobTooLarge):
        connect(answer).get_blob(cid_of_bytes(b"x"), 1)


def test_compression_is_declined_and_never_undone(connect) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        body = iter([b"\x1f\x8b would be a bomb"])
        return httpx.Response(200, content=body, headers={"Content-Encoding": "gzip"})

    with pytest.raises(BlockMismatch):
        connect(answer).get_blob(cid_of_bytes(b"x"), 1)
    assert asked == ["identity"]


def test_dripping_store_is_left(connect, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=10)
    monkeypatch.setattr(http_module.time, "monotonic", lambda: float(next(clock)))
    store = connect(lambda _: httpx.Response(200, content=iter([b"."] * 100)))
    with pytest.raises(StoreUnreachable, match="too slow"):
        store.get_blob(cid_of_bytes(b"." * 100), 100)


def test_tree_that_contradicts_itself_is_refused(connect) -> None:
    """Authentic blocks, put together to say they hold less than they do."""
    from openmined.storage._dagpb import Link, encode_file_node

    leaf = Block(CID.of(BLOB[:MIB]), BLOB[:MIB])
    root, _ = encode_file_node([Link(leaf.cid, 10, 10)])
    archive = archive_of(root.cid, [root, leaf])
    headers = {"Content-Type": CAR_TYPE}
    store = connect(lambda _: httpx.Response(200, content=archive, headers=headers))
    with pytest.raises(MalformedBlock, match="its parent says 10"):
        store.get_blob(str(root.cid), 100)


# Faults that pass, and faults that do not.


@pytest.mark.parametrize(
    "fault",
    [
        429,
        502,
        503,
        504,
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
    ],
)
def test_passing_faults_are_tried_again(connect, waits: list[float], fault: object) -> None:
    faults = iter([fault, fault])

    def answer(_: httpx.Request) -> httpx.Response:
        match next(faults, None):
            case int(status):
                return httpx.Response(status)
            case Exception() as error:
                raise error
        return httpx.Response(200, content=b"x")

    assert connect(answer, attempts=3).get_blob(cid_of_bytes(b"x"), 1) == b"x"
    assert len(waits) == 2
    assert 0.1 <= waits[0] <= 0.2 <= waits[1] <= 0.4


def test_body_that_breaks_off_is_fetched_again(connect) -> None:
    turns = iter([True, False])

    def body(broken: bool) -> Iterator[bytes]:
        yield b"ha"
        if broken:
            raise httpx.ReadError("reset")
        yield b"lf"

    store = connect(lambda _: httpx.Response(200, content=body(next(turns))), attempts=2)
    assert store.get_blob(cid_of_bytes(b"half"), 4) == b"half"


def test_store_that_is_not_there_is_named_with_what_to_do(connect, waits: list[float]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(StoreUnreachable) as caught:
        connect(answer, attempts=4).get_blob(cid_of_bytes(b"x"), 1)
    text = str(caught.value)
    assert "http://store.test" in text
    assert cid_of_bytes(b"x") in text
    assert "connection refused" in text
    assert "after 4 attempts" in text
    assert "openmined store serve" in text
    assert len(waits) == 3


def test_asked_delay_is_kept_within_bounds(connect, waits: list[float]) -> None:
    delays = iter(["2", "999999", "soon"])

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503, headers={"Retry-After": next(delays, "0")})

    with pytest.raises(StoreUnreachable, match="HTTP 503"):
        connect(answer, attempts=4).get_blob(cid_of_bytes(b"x"), 1)
    assert waits[:2] == [2.0, 5.0]
    assert waits[2] <= 0.8


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, StoreRefused),
        (401, StoreRefused),
        (403, StoreRefused),
        (301, StoreRefused),
        (404, BlockNotFound),
        (410, BlockGone),
        (413, BlobTooLarge),
        (500, StoreRefused),
        (507, QuotaExceeded),
    ],
)
def test_refusals_are_typed_and_not_tried_again(
    connect, waits: list[float], status: int, error: type[Exception]
) -> None:
    store = connect(lambda _: httpx.Response(status, text="because"), attempts=3)
    with pytest.raises(error, match=r"http://store.test .*: because"):
        store.put_manifest_bytes(b"{}")
    assert waits == []


def test_hostile_reason_is_cleaned_and_cut(connect) -> None:
    text = "\x1b]0;owned\x07 line\nline " + "x" * 100_000
    store = connect(lambda _: httpx.Response(500, text=text))
    with pytest.raises(StoreRefused) as caught:
        store.get_blob(cid_of_bytes(b"x"), 1)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


# Writing: what the node says it kept must be what was sent.


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b'{"Key": "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"}',
        b'{"Key": 7}',
        b'{"Key": null}\n{"Key": null}',
    ],
)
def test_node_that_kept_something_else_is_not_trusted(connect, answer: bytes) -> None:
    store = connect(lambda _: httpx.Response(200, content=answer))
    with pytest.raises(BlockMismatch, match="do not use this store"):
        store.put_blob(b"x")


@pytest.mark.parametrize("answer", [b"<html>", b"[1]", b"\xff", b"[" * 60_000])
def test_answer_that_is_no_rpc_says_so(connect, answer: bytes) -> None:
    store = connect(lambda _: httpx.Response(200, content=answer))
    with pytest.raises(StoreRefused, match="is this the RPC port"):
        store.put_blob(b"x")


def test_import_that_was_not_pinned_is_no_success(connect) -> None:
    cid = cid_of_bytes(BLOB)
    text = f'{{"Root":{{"Cid":{{"/":"{cid}"}},"PinErrorMsg":"block was not found"}}}}'

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        return httpx.Response(200, text=text)

    with pytest.raises(StoreRefused, match=r"did not pin .*block was not found"):
        connect(answer).put_blob(BLOB)


def test_import_answers_in_kubos_shape_are_understood(connect) -> None:
    """As Kubo 0.39 prints them: one object a line, with statistics when asked."""
    cid = cid_of_bytes(BLOB)
    text = (
        f'{{"Root":{{"Cid":{{"/":"{cid}"}},"PinErrorMsg":""}}}}\n'
        '{"Stats":{"BlockCount":5,"BlockBytesCount":3146000}}\n'
    )
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        sent.append(request)
        return httpx.Response(200, text=text)

    assert connect(answer).put_blob(BLOB) == (cid, len(BLOB))
    assert sent[0].url.path == "/api/v0/dag/import"
    assert int(sent[0].headers["Content-Length"]) == len(sent[0].content)


def test_upload_is_sent_whole_again_after_a_fault(connect) -> None:
    bodies: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(len(request.read()))
        if len(bodies) < 3:
            return httpx.Response(503)
        cid = cid_of_bytes(BLOB)
        return httpx.Response(200, json={"Root": {"Cid": {"/": cid}, "PinErrorMsg": ""}})

    connect(answer, attempts=3).put_blob(BLOB)
    assert len(set(bodies)) == 1
    assert len(bodies) == 3


# URLs.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.test",
        "127.0.0.1:5001",
        "ftp://store.test",
        "file:///etc/passwd",
        "http://",
        "http://store.test?x=1",
        "http://store.test/#top",
        "http://[::1",
        "http://store.test:999999",
    ],
)
def test_what_is_no_url_of_a_store_is_refused(url: str) -> None:
    with pytest.raises(BadStoreURL):
        connect_store(url)


def test_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadStoreURL, match="leave it out") as caught:
        connect_store("http://user:hunter2@store.test")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadStoreURL) as caught:
        connect_store("http://store.test", "http://user:hunter2@store.test:x")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadStoreURL) as caught:
        connect_store("http://store.test/?token=hunter2")
    assert "hunter2" not in str(caught.value)


def test_reads_and_writes_go_where_they_are_told(mock_transport) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.host}")
        request.read()
        if request.method == "GET":
            return httpx.Response(200, content=b"x")
        return httpx.Response(200, json={"Key": cid_of_bytes(b"x"), "Size": 1})

    with KuboStore(
        "http://rpc.test/", "http://gateway.test/", transport=mock_transport(answer)
    ) as store:
        cid, _ = store.put_blob(b"x")
        store.get_blob(cid, 1)
    assert asked == ["POST rpc.test", "GET gateway.test"]


def test_token_goes_with_writes_only(mock_transport) -> None:
    seen: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        seen[request.method] = request.headers.get("Authorization")
        request.read()
        if request.method == "GET":
            return httpx.Response(200, content=b"x")
        return httpx.Response(200, json={"Key": cid_of_bytes(b"x"), "Size": 1})

    transport = mock_transport(answer)
    with KuboStore("http://store.test", transport=transport, write_token="s3cret") as store:
        cid, _ = store.put_blob(b"x")
        store.get_blob(cid, 1)
        assert "s3cret" not in repr(store)
    assert seen == {"POST": "Bearer s3cret", "GET": None}
