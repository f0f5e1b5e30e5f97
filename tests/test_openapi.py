"""The OpenAPI document, and requests that it lets somebody think of: none is the server's fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from tests.house import CAST, HANG, service_in_thread
from tests.test_said_before import KEPT, Repeatable
from tests.web import free_port

TOO_LARGE = 413
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
"""Not among them: that all is accepted that the document allows. No document says which names are free."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    place = tmp_path_factory.mktemp("data")
    with service_in_thread([Repeatable(voices=CAST)], http_port=port, data_dir=place, **KEPT):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def schema(url: str) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{url}/openapi.json", wait_for_schema=HANG)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_is_the_server_s_fault(schema: BaseSchema, mode: GenerationMode) -> None:
    """Of those that the document allows, and of those that it does not."""
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) >= 15
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None)
        def ask(case: Case[Any]) -> None:
            answer = case.call(timeout=HANG)
            if answer.status_code != TOO_LARGE:  # which schemathesis does not take for a refusal
                case.validate_response(answer, checks=CHECKS)

        with suppress(Unsatisfiable):  # there is nothing to do wrong
            ask()


def test_the_document_names_every_route(url: str) -> None:
    paths = httpx2.get(f"{url}/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        ("POST", "/v1/audio/speech"),
        ("POST", "/v1/audio/speech/batch"),
        ("GET", "/v1/audio/speech/batch/{id}"),
        ("GET", "/v1/models"),
        ("GET", "/v1/audio/voices"),
        ("POST", "/v1/audio/voices"),
        ("POST", "/v1/audio/voices/design"),
        ("DELETE", "/v1/audio/voices/{name}"),
        ("GET", "/v1/cache"),
        ("DELETE", "/v1/cache"),
        ("GET", "/v1/cache/phrases"),
        ("POST", "/v1/cache/phrases"),
        ("DELETE", "/v1/cache/phrases/{key}"),
        ("GET", "/v1/requests"),
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/metrics"),
    }


def test_the_manual_has_every_route(url: str) -> None:
    manual = (Path(__file__).parent.parent / "docs/http-api.md").read_text()
    for path, methods in httpx2.get(f"{url}/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"| `{method.upper()} {path}` |" in manual
    assert "| `WS /v1/audio/speech/ws` |" in manual
    assert "| `GET /` |" in manual


def test_a_method_that_is_not_there_is_told_which_are(url: str) -> None:
    answer = httpx2.put(f"{url}/v1/cache")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET"
