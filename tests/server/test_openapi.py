"""The OpenAPI document is true: generated requests, valid and invalid, get the answers it describes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance, unsupported_method

import mien

MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
ROUTES = ["/v1/predict", "/v1/explain", "/v1/models", "/v1/config", "/healthz", "/readyz", "/metrics"]


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], make_bundle: Callable[..., Path]) -> Any:
    return run_server(mien.load(make_bundle(maps=True), threads=1), body_bytes=1_000_000)


# A route without parameters has no invalid requests.
@pytest.mark.parametrize(
    ("path", "mode"), [*[(path, MODES[0]) for path in ROUTES], *[(path, MODES[1]) for path in ROUTES[:2]]]
)
@pytest.mark.parametrize("examples", [3, pytest.param(1000, marks=pytest.mark.slow)])
def test_answers_are_as_described(server: Any, path: str, mode: Any, examples: int) -> None:
    (operation,) = schemathesis.openapi.from_url(f"{server.url}/openapi.json")[path].values()
    # The schema cannot tell which bytes are an image, or which labels a model has.
    excluded = [unsupported_method, negative_data_rejection]
    if path == "/v1/explain":
        excluded.append(positive_data_acceptance)

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), derandomize=examples < 10)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call(base_url=server.url)
        threshold = "threshold" in (case.query or {})  # names a label, too
        case.validate_response(answer, excluded_checks=[*excluded, *[positive_data_acceptance] * threshold])
        assert answer.status_code < 500
        assert "content-security-policy" in answer.headers

    check()


def test_every_route_and_error_has_an_example(server: Any) -> None:
    document = server.get("/openapi.json").json()
    assert set(document["paths"]) == set(ROUTES)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                ((kind, content),) = answer["content"].items()
                if status == "200":
                    assert "example" in content or kind in ("image/png", "text/plain")
                else:
                    assert kind == "application/problem+json"
                    assert all(example["value"]["status"] == int(status) for example in content["examples"].values())


def test_the_example_row_has_the_fields_of_a_row(server: Any, face: bytes) -> None:
    document = server.get("/openapi.json").json()
    answer = document["paths"]["/v1/predict"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    row = mien.load(threads=1).predict(face).to_dict()
    assert list(row) == list(answer[0])
    faces = mien.load(threads=1, detect=False).predict(face).to_dict()["faces"]
    assert list(faces[0]) == list(answer[0]["faces"][0])
