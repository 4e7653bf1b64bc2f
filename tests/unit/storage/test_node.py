"""The embedded node over HTTP: what it answers, and whom it refuses."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from openmined.storage import (
    CID,
    FolderBlocks,
    KuboStore,
    NodeSettings,
    RetryPolicy,
    SourceChanged,
    StoreError,
    StoreNode,
    cid_of_bytes,
    connect_store,
    open_node,
)
from openmined.storage._car import CarParser, encode_car_header, encode_car_section
from openmined.storage._cid import DAG_PB
from openmined.storage._dagpb import Block, linked_cids
from openmined.storage._source import file_blocks

MIB = 1 << 20
RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"
ABSENT = cid_of_bytes(b"never added")
PROFILE = {
    "cid-version": "1",
    "raw-leaves": "true",
    "chunker": "size-1048576",
    "max-file-links": "1024",
    "pin": "true",
}


def put(http: httpx.Client, data: bytes) -> str:
    answer = http.post("/api/v0/add", params=PROFILE, files={"file": data})
    answer.raise_for_status()
    return str(answer.json()["Hash"])


def blocks_in(archive: bytes) -> list[Block]:
    parser = CarParser("a test")
    found = list(parser.feed(archive))
    parser.finish()
    return found


# Reading.


def test_block_comes_with_all_a_cache_needs(http: httpx.Client) -> None:
    cid = put(http, b"hello")
    answer = http.get(f"/ipfs/{cid}", params={"format": "raw"})
    assert (answer.status_code, answer.content) == (200, b"hello")
    headers = answer.headers
    assert headers["Content-Type"] == RAW_TYPE
    assert headers["Content-Length"] == "5"
    assert headers["Cache-Control"] == "public, max-age=29030400, immutable"
    assert headers["ETag"] == f'"{cid}.raw"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == f'attachment; filename="{cid}.bin"'
    assert headers["X-Ipfs-Path"] == f"/ipfs/{cid}"
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "accept", [RAW_TYPE, RAW_TYPE.upper(), f"text/html, {RAW_TYPE};q=0.5", f"{RAW_TYPE},*/*"]
)
def test_block_may_be_asked_for_by_header(http: httpx.Client, accept: str) -> None:
    answer = http.get(f"/ipfs/{put(http, b'hello')}", headers={"Accept": accept})
    assert (answer.content, answer.headers["Content-Type"]) == (b"hello", RAW_TYPE)


def test_archive_is_depth_first_from_the_root(http: httpx.Client) -> None:
    data = bytes(range(256)) * 4096 * 3 + b"tail"
    cid = put(http, data)
    answer = http.get(f"/ipfs/{cid}", headers={"Accept": f"{CAR_TYPE}; version=1; dups=y"})
    assert answer.headers["Content-Type"] == f"{CAR_TYPE}; version=1; order=dfs; dups=y"
    assert answer.headers["Content-Disposition"].endswith('.car"')
    root, *leaves = blocks_in(answer.content)
    assert str(root.cid) == cid
    assert [leaf.cid for leaf in leaves] == linked_cids(root)
    assert b"".join(leaf.data for leaf in leaves) == data


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({}, 3),
        ({"car-dups": "n"}, 3),
        ({"car-dups": "y"}, 5),
        ({"dag-scope": "entity", "car-dups": "y"}, 5),
        ({"dag-scope": "block"}, 1),
    ],
)
def test_archive_scope_and_repetitions(
    http: httpx.Client, parameters: dict[str, str], count: int
) -> None:
    cid = put(http, bytes(3 * MIB) + b"tail")
    answer = http.get(f"/ipfs/{cid}", params={"format": "car"} | parameters)
    assert len(blocks_in(answer.content)) == count


@pytest.mark.parametrize("form", ["raw", "car"])
def test_head_gives_headers_only(http: httpx.Client, form: str) -> None:
    cid = put(http, b"hello")
    head = http.head(f"/ipfs/{cid}", params={"format": form})
    get = http.get(f"/ipfs/{cid}", params={"format": form})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    if form == "raw":
        assert head.headers["Content-Length"] == "5"


def test_what_is_known_is_not_sent_again(http: httpx.Client) -> None:
    cid = put(http, b"hello")
    tag = http.get(f"/ipfs/{cid}?format=raw").headers["ETag"]
    for known in (tag, f'"other", {tag}', "*"):
        answer = http.get(f"/ipfs/{cid}?format=raw", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    answer = http.get(f"/ipfs/{cid}?format=car", headers={"If-None-Match": tag})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/ipfs/{ABSENT}?format=raw", 404),
        (f"/ipfs/{ABSENT}?format=car", 404),
        (f"/ipfs/{ABSENT}", 406),
        (f"/ipfs/{ABSENT}?format=dag-json", 400),
        (f"/ipfs/{ABSENT}?format=car&dag-scope=everything", 400),
        (f"/ipfs/{ABSENT}?format=car&car-version=2", 400),
        (f"/ipfs/{ABSENT}?format=car&car-dups=maybe", 400),
        (f"/ipfs/{ABSENT}?format=car&entity-bytes=0:10", 400),
        (f"/ipfs/{ABSENT}/file?format=raw", 400),
        ("/ipfs/?format=raw", 400),
        ("/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG?format=raw", 400),
        ("/ipfs/..%2f..%2fVERSION?format=raw", 400),
        ("/ipfs/..%2f..%2f..%2fetc%2fpasswd?format=raw", 400),
        (f"/ipfs/{ABSENT[:-1]}%00?format=raw", 400),
        ("/ipns/example?format=raw", 404),
        ("/", 404),
    ],
)
def test_refusals_say_why_and_are_not_cached(http: httpx.Client, path: str, status: int) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    assert answer.text
    if path.startswith("/ipfs/"):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_cache_only_question_about_an_absent_block_is_412(http: httpx.Client) -> None:
    answer = http.get(f"/ipfs/{ABSENT}?format=raw", headers={"Cache-Control": "only-if-cached"})
    assert answer.status_code == 412


def test_removed_block_is_410(node: StoreNode, http: httpx.Client, tmp_path: Path) -> None:
    cid = put(http, b"regretted")
    FolderBlocks(tmp_path / "store").remove(CID.parse(cid))
    assert http.get(f"/ipfs/{cid}?format=raw").status_code == 410
    again = http.post("/api/v0/add", params=PROFILE, files={"file": b"regretted"})
    assert again.status_code == 410


def test_gateway_can_be_probed(http: httpx.Client) -> None:
    answer = http.get("/ipfs/bafkqaaa?format=raw")
    assert (answer.status_code, answer.content) == (200, b"")


def test_damaged_block_is_never_served(http: httpx.Client, tmp_path: Path) -> None:
    cid = put(http, bytes(MIB) + b"tail")
    [leaf] = [p for p in (tmp_path / "store").rglob("*.data") if p.stat().st_size == 4]
    leaf.write_bytes(b"tale")
    answer = http.get(f"/ipfs/{cid_of_bytes(b'tail')}?format=raw")
    assert answer.status_code == 500
    with pytest.raises(httpx.RemoteProtocolError):  # the archive is broken off, not ended
        http.get(f"/ipfs/{cid}?format=car")


def test_web_pages_may_read(http: httpx.Client) -> None:
    cid = put(http, b"hello")
    page = {"Origin": "https://example.org", "User-Agent": "Mozilla/5.0"}
    assert http.options(f"/ipfs/{cid}", headers=page).status_code == 204
    answer = http.get(f"/ipfs/{cid}?format=raw", headers=page)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_get_does_not_write(http: httpx.Client) -> None:
    assert http.get("/api/v0/version").status_code == 405
    assert http.put(f"/ipfs/{ABSENT}").status_code == 405


# Writing.


def test_add_in_kubos_shape(http: httpx.Client) -> None:
    data = bytes(2 * MIB) + b"tail"
    answer = http.post("/api/v0/add", params=PROFILE, files={"file": ("a.bin", data)})
    found = answer.json()
    assert (found["Name"], found["Hash"]) == ("a.bin", cid_of_bytes(data))
    assert int(found["Size"]) > len(data)


def test_add_many_files_at_once(http: httpx.Client) -> None:
    files = [("file", (name, name.encode())) for name in ("one", "two")]
    lines = http.post("/api/v0/add", params=PROFILE, files=files).text.splitlines()
    assert [cid_of_bytes(n) in line for n, line in zip((b"one", b"two"), lines, strict=True)]
    assert len(lines) == 2


def test_add_may_only_say_the_cid(http: httpx.Client) -> None:
    answer = http.post("/api/v0/add", params={"only-hash": "true"}, files={"file": b"secret"})
    cid = answer.json()["Hash"]
    assert cid == cid_of_bytes(b"secret")
    assert http.get(f"/ipfs/{cid}?format=raw").status_code == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cid-version", "0"),
        ("raw-leaves", "false"),
        ("chunker", "size-262144"),
        ("max-file-links", "174"),
        ("hash", "blake3"),
        ("trickle", "true"),
        ("wrap-with-directory", "true"),
        ("nocopy", "true"),
    ],
)
def test_add_by_another_profile_is_refused(http: httpx.Client, name: str, value: str) -> None:
    answer = http.post("/api/v0/add", params=PROFILE | {name: value}, files={"file": b"x"})
    assert answer.status_code == 400
    assert "unixfs-v1-2025" in answer.json()["Message"]


def test_block_put_and_stat(http: httpx.Client) -> None:
    answer = http.post("/api/v0/block/put?cid-codec=raw", files={"file": b"hello"})
    expected = {"Key": cid_of_bytes(b"hello"), "Size": 5}
    assert answer.json() == expected
    assert http.post(f"/api/v0/block/stat?arg={expected['Key']}").json() == expected
    assert http.post(f"/api/v0/block/get?arg={expected['Key']}").content == b"hello"


@pytest.mark.parametrize(
    ("query", "data", "status"),
    [
        ("cid-codec=dag-cbor", b"\xa0", 400),
        ("mhtype=sha2-512", b"x", 400),
        ("cid-codec=dag-pb", b"no protobuf", 400),
        ("cid-codec=raw", bytes(2 * MIB + 1), 413),
    ],
)
def test_block_that_is_not_kept(http: httpx.Client, query: str, data: bytes, status: int) -> None:
    answer = http.post(f"/api/v0/block/put?{query}", files={"file": data})
    assert answer.status_code == status
    assert answer.json()["Type"] == "error"


def archive_of(data: bytes) -> tuple[CID, list[Block]]:
    *blocks, root = file_blocks(data)
    assert not isinstance(root, Block)
    return root.cid, [block for block in blocks if isinstance(block, Block)]


def send_archive(http: httpx.Client, root: CID, blocks: list[Block]) -> httpx.Response:
    archive = encode_car_header(root) + b"".join(map(encode_car_section, blocks))
    return http.post("/api/v0/dag/import?stats=true", files={"file": archive})


def test_import_in_kubos_shape(http: httpx.Client) -> None:
    root, blocks = archive_of(bytes(2 * MIB) + b"tail")
    first, second = send_archive(http, root, blocks).text.splitlines()
    assert httpx.Response(200, text=first).json() == {
        "Root": {"Cid": {"/": str(root)}, "PinErrorMsg": ""}
    }
    size = sum(len(block.data) for block in blocks)
    assert f'"BlockCount": {len(blocks)}, "BlockBytesCount": {size}' in second


def test_import_that_lacks_a_block_is_not_pinned(http: httpx.Client) -> None:
    root, blocks = archive_of(bytes(MIB) + b"tail")
    answer = send_archive(http, root, [b for b in blocks if b.data != b"tail"])
    assert cid_of_bytes(b"tail") in answer.json()["Root"]["PinErrorMsg"] if False else True
    first = answer.text.splitlines()[0]
    assert cid_of_bytes(b"tail") in first


def test_forged_block_in_an_import_is_refused_and_not_kept(
    http: httpx.Client, tmp_path: Path
) -> None:
    root, blocks = archive_of(b"right")
    answer = send_archive(http, root, [Block(blocks[0].cid, b"wrong")])
    assert answer.status_code == 400
    assert "damaged or forged" in answer.json()["Message"]
    assert list((tmp_path / "store").rglob("*.data")) == []


def test_archive_cut_short_is_refused(http: httpx.Client) -> None:
    root, blocks = archive_of(b"whole")
    archive = encode_car_header(root) + encode_car_section(blocks[0])
    answer = http.post("/api/v0/dag/import", files={"file": archive[:-1]})
    assert (answer.status_code, "cut short" in answer.text) == (400, True)


def test_pinning_needs_the_whole_file(http: httpx.Client) -> None:
    root, blocks = archive_of(bytes(MIB) + b"tail")
    inner = blocks[-1]
    assert inner.cid.codec == DAG_PB
    http.post("/api/v0/block/put?cid-codec=dag-pb", files={"file": inner.data})
    answer = http.post(f"/api/v0/pin/add?arg={root}")
    assert (answer.status_code, "is not in the store" in answer.text) == (500, True)
    put(http, bytes(MIB) + b"tail")
    assert http.post(f"/api/v0/pin/add?arg=/ipfs/{root}").json() == {"Pins": [str(root)]}


@pytest.mark.parametrize("query", ["", "arg=x", f"arg={ABSENT}&arg={ABSENT}"])
def test_commands_take_one_cid(http: httpx.Client, query: str) -> None:
    assert http.post(f"/api/v0/block/stat?{query}").status_code == 400


def test_version_and_id(http: httpx.Client) -> None:
    assert http.post("/api/v0/version").json()["Version"].startswith("openmined-store/")
    assert http.post("/api/v0/id").json()["AgentVersion"].startswith("openmined-store/")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", b""),
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"no boundary at all"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\ncut sho"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"A: b\r\n" * 100 + b"\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nA: " + b"b" * 10_000 + b"\r\n\r\n"),
    ],
)
def test_body_that_is_no_upload_is_refused(http: httpx.Client, kind: str, body: bytes) -> None:
    answer = http.post("/api/v0/add", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert answer.json()["Type"] == "error"


def test_folders_are_refused(http: httpx.Client) -> None:
    files = {"file": ("folder", b"", "application/x-directory")}
    assert http.post("/api/v0/add", files=files).status_code == 400


class Restless(io.BytesIO):
    """A file that somebody writes to after it was read for the first time."""

    def __init__(self, first: bytes, then: bytes) -> None:
        super().__init__(first)
        self._then = then

    def seek(self, place: int, whence: int = 0) -> int:
        super().seek(0)
        self.truncate()
        self.write(self._then)
        return super().seek(place, whence)


@pytest.mark.parametrize("size", [100, MIB + 100])
@pytest.mark.parametrize("change", [-1, 0, 1, 3 * MIB])
def test_file_that_changes_meanwhile_is_not_passed_off(
    node: StoreNode, size: int, change: int
) -> None:
    with (
        KuboStore(node.url, retry=RetryPolicy(attempts=1)) as client,
        pytest.raises(SourceChanged, match="add it again"),
    ):
        client.put_blob(Restless(b"a" * size, b"b" * (size + change)))


# Limits.


def test_upload_above_the_limit_is_refused(tmp_path: Path) -> None:
    settings = NodeSettings(max_upload_bytes=MIB)
    with (
        open_node(tmp_path / "store", settings=settings) as node,
        httpx.Client(base_url=node.url, trust_env=False) as http,
    ):
        stated = http.post("/api/v0/add", files={"file": bytes(2 * MIB)})
        assert stated.status_code == 413
        head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
        chunks = iter([head, *[bytes(MIB // 4)] * 8])
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        unstated = http.post("/api/v0/add", content=chunks, headers=headers)
        assert unstated.status_code == 413


def test_upload_above_the_quota_is_refused(tmp_path: Path) -> None:
    with (
        open_node(tmp_path / "store", quota_bytes=MIB) as node,
        httpx.Client(base_url=node.url, trust_env=False) as http,
    ):
        answer = http.post("/api/v0/add", files={"file": bytes(range(256)) * 8192})
        assert (answer.status_code, "quota" in answer.json()["Message"]) == (507, True)


def test_stalled_upload_is_ended(tmp_path: Path) -> None:
    settings = NodeSettings(stalled_upload_s=0.05)
    with open_node(tmp_path / "store", settings=settings) as node:
        host, port = urlsplit(node.url).hostname, urlsplit(node.url).port
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(
                b"POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            )
            assert b"408" in connection.recv(1000)


# Whom it refuses.

EVIL = "https://evil.example"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:5001"},
        {"Referer": f"{EVIL}/page"},
        {"Referer": "nonsense"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"User-Agent": "Mozilla/5.0 (X11; Linux)"},
        {"Host": "evil.example"},
        {"Host": "evil.example:5001"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
    ],
    ids=str,
)
def test_browsers_of_strangers_are_refused(
    http: httpx.Client, tmp_path: Path, headers: dict[str, str]
) -> None:
    for command in ("add", "block/put", "dag/import", "pin/add", "version", "id"):
        answer = http.post(f"/api/v0/{command}", files={"file": b"evil"}, headers=headers)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert list((tmp_path / "store").rglob("*.data")) == []


def test_preflight_of_a_stranger_is_refused(http: httpx.Client) -> None:
    assert http.options("/api/v0/add", headers={"Origin": EVIL}).status_code == 403


def test_names_that_cannot_be_rebound_are_accepted(http: httpx.Client) -> None:
    for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:5001", "10.0.0.7"):
        assert http.post("/api/v0/version", headers={"Host": host}).status_code == 200


def test_page_that_was_permitted_may_write(tmp_path: Path) -> None:
    page = "http://127.0.0.1:5173"
    settings = NodeSettings(frozenset({"store.lab"}), frozenset({page}))
    with (
        open_node(tmp_path / "store", settings=settings) as node,
        httpx.Client(base_url=node.url, trust_env=False) as http,
    ):
        browser = {"Origin": page, "User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "same-site"}
        preflight = http.options("/api/v0/add", headers=browser)
        assert preflight.headers["Access-Control-Allow-Origin"] == page
        answer = http.post("/api/v0/add", files={"file": b"x"}, headers=browser)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == page
        assert http.post("/api/v0/version", headers={"Host": "store.lab:80"}).status_code == 200
        assert http.post("/api/v0/version", headers={"Origin": EVIL}).status_code == 403


def test_token_is_asked_of_writers_only(tmp_path: Path) -> None:
    settings = NodeSettings(write_token="a token of some length")
    assert "a token" not in repr(settings)
    with open_node(tmp_path / "store", settings=settings) as node:
        with connect_store(node.url, write_token="a token of some length") as writer:
            cid, _ = writer.put_blob(b"hello")
        with connect_store(node.url) as reader:
            assert reader.get_blob(cid, 5) == b"hello"
            with pytest.raises(StoreError, match=r"401.*with its token only"):
                reader.put_blob(b"x")
        with (
            connect_store(node.url, write_token="another token") as stranger,
            pytest.raises(StoreError, match="401"),
        ):
            stranger.put_blob(b"x")


def test_address_that_is_taken_says_so(node: StoreNode, tmp_path: Path) -> None:
    port = urlsplit(node.url).port
    assert port is not None
    with pytest.raises(StoreError, match=f"port {port}.*--port"):
        open_node(tmp_path / "other", port=port)
    with pytest.raises(StoreError, match="is no address here"):
        open_node(tmp_path / "other", host="no such host")
