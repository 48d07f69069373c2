"""Query parameters are validated, and described for the OpenAPI document."""

import pytest
from starlette.datastructures import QueryParams

from mien.server.openapi import ExplainParams, PredictParams
from mien.server.params import describe_params, parse_params
from mien.server.problems import Problem


def test_parameters_are_optional_and_the_last_one_wins() -> None:
    assert parse_params(PredictParams, QueryParams("")) == PredictParams()
    params = parse_params(ExplainParams, QueryParams("detect=false&faces=all&faces=largest&view=heat&label=sad"))
    assert params == ExplainParams(detect=False, faces="largest", view="heat", label="sad")


@pytest.mark.parametrize("query", ["detect=perhaps", "faces=some", "detcet=false", "=1", "label=sad"])
def test_wrong_values_and_unknown_names_are_refused(query: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_params(PredictParams, QueryParams(query))
    assert refused.value.code == "bad_parameter"
    assert refused.value.detail.startswith(query.partition("=")[0] + ": ")


def test_the_detail_is_one_line_of_bounded_length() -> None:
    with pytest.raises(Problem) as refused:
        parse_params(PredictParams, QueryParams("&".join(f"{'x' * 500}{number}=1" for number in range(100))))
    assert len(refused.value.detail) == 500
    assert "\n" not in refused.value.detail


def test_every_parameter_is_described() -> None:
    described = describe_params(ExplainParams)
    assert [each["name"] for each in described] == ["detect", "faces", "threshold", "model", "label", "method", "view"]
    assert {each["required"] for each in described} == {False}
