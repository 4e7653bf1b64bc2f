"""Whatever is sent to the local API: an answer as its document says, and never a 5xx of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from tests.unit.mine.folder_world import PASSPHRASE, SCHEMA, make_folder, rows, serving

from openmined.mine import import_batches
from openmined.mine._progress import ProgressLog
from openmined.mine.api import create_app, make_context, openapi_document, protected

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

checks = schemathesis.checks
openapi_checks = pytest.importorskip("schemathesis.specs.openapi.checks")
schema = schemathesis.openapi.from_dict(openapi_document())
# The stream of events never ends; its own test is in test_mine_api.py.
schema = schema.exclude(path="/api/v1/events")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    folder, secrets = make_folder(tmp_path_factory.mktemp("mine") / "folder")
    import_batches(folder, secrets.identity, "data", SCHEMA, [rows(20)])
    log = ProgressLog(folder.log_path, "test")
    context = make_context(
        folder, secrets.identity, secrets.wallet.address, log, folder.settings().api
    )
    with serving(protected(create_app(context), ())) as client:
        answer = client.post("/api/v1/session", json={"passphrase": PASSPHRASE})
        yield str(client.base_url), dict(answer.cookies)
    context.uploads.close()
    log.close()


CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
def test_any_request_gets_a_described_answer(
    case: schemathesis.Case, server: tuple[str, dict[str, str]]
) -> None:
    url, cookies = server
    if case.path == "/api/v1/session":
        cookies = {}
    case.call_and_validate(base_url=url, cookies=cookies, checks=CHECKS, timeout=30)
