"""Where a Capsule's certificate comes from, and which are refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.unit.sonar.conftest import Scene
from tests.unit.sonar.played import generate_pgp

from openmined.sonar import LaunchRefused, SonarError, parse_certificate
from openmined.sonar._certificates import find_certificate

STRANGER = "0x" + "77" * 20


@contextmanager
def serving(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/certificate" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_capsule_on_this_machine_is_asked(scene: Scene) -> None:
    certificate = str(generate_pgp("Capsule").extract_certificate())
    with serving(certificate.encode()) as url:
        found = find_certificate(scene.sonar.contract, scene.store, STRANGER, url=url)
    assert parse_certificate(found).fingerprint == parse_certificate(certificate).fingerprint


def test_a_pinned_fingerprint_decides(scene: Scene) -> None:
    certificate = str(generate_pgp("Capsule").extract_certificate())
    fingerprint = str(parse_certificate(certificate).fingerprint)
    with serving(certificate.encode()) as url:
        found = find_certificate(
            scene.sonar.contract, scene.store, STRANGER, url=url, fingerprint=fingerprint.upper()
        )
        assert found
        with pytest.raises(LaunchRefused, match="has fingerprint"):
            find_certificate(
                scene.sonar.contract, scene.store, STRANGER, url=url, fingerprint="ab" * 20
            )


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"nothing", 404, "see that the Capsule runs"),
        (b"\xff\xfe", 200, "see that the Capsule runs"),
        (b"x" * 100_000, 200, "more than a certificate"),
        (b"nonsense", 200, "no OpenPGP certificate"),
    ],
)
def test_what_is_no_certificate(scene: Scene, body: bytes, status: int, text: str) -> None:
    with serving(body, status) as url, pytest.raises(SonarError, match=text):
        find_certificate(scene.sonar.contract, scene.store, STRANGER, url=url)


def test_a_revoked_certificate_is_refused() -> None:
    from pysequoia import Cert

    secret = generate_pgp("Capsule")
    certificate = secret.extract_certificate()
    revoked = Cert.from_bytes(bytes(certificate) + bytes(certificate.revoke(secret.certifier())))
    with pytest.raises(SonarError, match=r"revoked|can receive"):
        parse_certificate(str(revoked))
