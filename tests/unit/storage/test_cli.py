"""`openmined store`, as typed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from openmined.storage import (
    BadCID,
    BlobTooLarge,
    BlockNotFound,
    FolderBlocks,
    FolderError,
    StoreNode,
    StoreUnreachable,
    app,
    cid_of_file,
    connect_store,
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20) + b"x" * (1 << 20) + b"tail")
    return path


def test_file_goes_in_and_comes_out(node: StoreNode, file: Path, tmp_path: Path) -> None:
    added = run("add", file, "--store", node.url)
    assert (added.exit_code, added.stdout) == (0, f"{cid_of_file(file)}\n")
    cid, out = added.stdout.strip(), tmp_path / "out"
    assert run("get", cid, "--output", out, "--store", node.url).exit_code == 0
    assert out.read_bytes() == file.read_bytes()
    printed = run("get", cid, "--store", node.url)
    assert printed.stdout_bytes == file.read_bytes()


def test_file_that_is_not_whole_never_gets_its_name(
    node: StoreNode, file: Path, tmp_path: Path
) -> None:
    cid = run("add", file, "--store", node.url).stdout.strip()
    [leaf] = [p for p in (tmp_path / "store").rglob("*.data") if p.stat().st_size == 4]
    leaf.unlink()
    folder = tmp_path / "out"
    folder.mkdir()
    got = run("get", cid, "--output", folder / "file", "--store", node.url)
    assert isinstance(got.exception, BlockNotFound)
    assert list(folder.iterdir()) == []


def test_size_is_bounded(node: StoreNode, file: Path) -> None:
    cid = run("add", file, "--store", node.url).stdout.strip()
    assert isinstance(run("get", cid, "--max-mib", 1, "--store", node.url).exception, BlobTooLarge)


def test_failures_are_typed(file: Path, unused_url: str) -> None:
    assert isinstance(run("add", file, "--store", unused_url).exception, StoreUnreachable)
    assert isinstance(run("get", "nonsense", "--store", unused_url).exception, BadCID)
    assert run("add", file.with_name("absent")).exit_code == 2


def test_verify_finds_what_is_damaged(node: StoreNode, file: Path, tmp_path: Path) -> None:
    run("add", file, "--store", node.url)
    folder = tmp_path / "store"
    sound = run("verify", "--folder", folder)
    assert (sound.exit_code, sound.stdout) == (0, "4 blocks sound, 0 damaged\n")
    [leaf] = [p for p in folder.rglob("*.data") if p.stat().st_size == 4]
    leaf.write_bytes(b"tale")
    damaged = run("verify", "--folder", folder)
    assert damaged.exit_code == 1
    assert "3 blocks sound, 1 damaged" in damaged.stdout
    assert leaf.stem in damaged.stderr


def test_verify_makes_no_store_where_none_was(tmp_path: Path) -> None:
    assert isinstance(run("verify", "--folder", tmp_path).exception, FolderError)
    assert list(tmp_path.iterdir()) == []


def test_removed_block_is_gone(node: StoreNode, file: Path, tmp_path: Path) -> None:
    cid = run("add", file, "--store", node.url).stdout.strip()
    assert run("remove", cid, "--folder", tmp_path / "store").exit_code == 0
    got = run("get", cid, "--store", node.url)
    assert "has removed" in str(got.exception)


def test_store_for_others_says_who_may_write(tmp_path: Path) -> None:
    refused = run("serve", "--folder", tmp_path / "store", "--host", "0.0.0.0")
    assert refused.exit_code == 2
    assert "--write-token-file" in refused.output
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("token", "mode", "reason"),
    [
        ("a-token-of-some-length", 0o644, "chmod 600"),
        ("short", 0o600, "16 characters"),
        ("two words of some length", 0o600, "one word"),
        (None, 0o600, "FileNotFoundError"),
    ],
)
def test_token_file_must_be_private_and_long(
    tmp_path: Path, token: str | None, mode: int, reason: str
) -> None:
    path = tmp_path / "token"
    if token is not None:
        path.write_text(token)
        path.chmod(mode)
    refused = run("serve", "--folder", tmp_path / "store", "--write-token-file", path)
    assert isinstance(refused.exception, FolderError)
    assert reason in str(refused.exception)
    assert token is None or token not in str(refused.exception)


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "openmined", "store", "serve", "--port", "0"]
    with subprocess.Popen(
        command + [str(argument) for argument in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().removeprefix("store ready at ").strip()
        if process.poll() is None:
            process.kill()


def test_serve_is_a_process_that_ends_quietly_on_ctrl_c(tmp_path: Path, file: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-some-length\n")
    token.chmod(0o600)
    with serving("--folder", tmp_path / "store", "--write-token-file", token) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        added = run("add", file, "--store", url, "--write-token-file", token)
        assert added.stdout.strip() == cid_of_file(file)
        with connect_store(url) as client:
            assert client.get_blob(cid_of_file(file), 1 << 30) == file.read_bytes()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
    assert sum(1 for _ in FolderBlocks(tmp_path / "store").cids()) == 4


def test_killed_store_keeps_what_it_acknowledged(tmp_path: Path, file: Path) -> None:
    with serving("--folder", tmp_path / "store") as (process, url):
        with connect_store(url) as client:
            cid, size = client.put_blob(file)
        process.kill()
        process.communicate(timeout=30)
    with serving("--folder", tmp_path / "store") as (_, url), connect_store(url) as client:
        assert client.get_blob(cid, size) == file.read_bytes()
