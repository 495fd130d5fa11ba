"""The API that SAM makes: one stage, and a new deployment for each change of its body."""

from pathlib import Path
from typing import Any

import pytest

from local import template
from tests.support.template.choosing import DOCUMENT, EVERYTHING, SUBSTITUTED, Chosen

TEMPLATE = Path(__file__).parents[3] / "template.yaml"
PARAMETERS = set(DOCUMENT["Parameters"])
API, DEPLOYMENT = "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Deployment"


def parameters_in(value: Any) -> set[str]:
    """The parameters on which a value depends, also by conditions."""
    match value:
        case {"Ref": str(name)}:
            return {name} & PARAMETERS
        case {"Fn::Sub": str(text)}:
            return set(SUBSTITUTED.findall(text)) & PARAMETERS
        case {"Fn::If": [name, *branches]}:
            return parameters_in(DOCUMENT["Conditions"][name]) | parameters_in(branches)
        case {"Condition": str(name)}:
            return parameters_in(DOCUMENT["Conditions"][name])
        case dict():
            return parameters_in(list(value.values()))
        case list():
            return set().union(*map(parameters_in, value))
    return set()


def deployment(text: str, folder: Path, **parameters: str) -> str:
    """The logical id of the deployment that SAM makes of a template."""
    path = folder / "template.yaml"
    path.write_text(text)
    (name,) = template.load(path, parameters).of_type(DEPLOYMENT)
    return name


@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["default", "everything"])
def test_the_api_has_no_stage_besides_its_own(parameters: dict[str, str]) -> None:
    """SAM's other one, named Stage, has no limits, no access log and no traces."""
    chosen = Chosen(**parameters)
    (stage,) = chosen.of_type("AWS::ApiGateway::Stage").values()
    (name,) = chosen.of_type(DEPLOYMENT)
    assert stage["DeploymentId"] == name
    assert "StageName" not in chosen.of_type(DEPLOYMENT)[name]
    assert (stage["StageName"], stage["TracingEnabled"]) == ("v1", True)


def test_the_apis_body_depends_on_no_parameter() -> None:
    """SAM would not deploy the API again for a new value, as the next test shows."""
    (api,) = (each for each in DOCUMENT["Resources"].values() if each["Type"] == API)
    assert parameters_in(api["Properties"]["Body"]) == set()


def test_sam_deploys_again_for_a_new_body_but_not_for_a_parameter_in_it(tmp_path: Path) -> None:
    text = TEMPLATE.read_text()
    static = "Access-Control-Allow-Origin: \"'*'\""
    assert static in text
    dependent = text.replace(static, "Access-Control-Allow-Origin: !Sub \"'${AllowOrigin}'\"")
    one, other = (
        deployment(dependent, tmp_path, AllowOrigin=origin) for origin in ("*", "https://a.example")
    )
    assert one == other
    assert deployment(text, tmp_path) != deployment(text.replace("/uploads,", "/up,"), tmp_path)


def test_every_key_that_a_route_wants_is_defined() -> None:
    """OpenAPI 3 has security schemes at another place than Swagger 2, SAM's default."""
    (api,) = Chosen().of_type(API).values()
    assert api["Body"]["openapi"] == "3.0.1"
    operations = [each for path in api["Body"]["paths"].values() for each in path.values()]
    wanted = {name for each in operations for scheme in each["security"] for name in scheme}
    assert wanted == api["Body"]["components"]["securitySchemes"].keys() == {"api_key"}


def test_pages_of_every_origin_may_read_the_apis_own_errors() -> None:
    (api,) = Chosen().of_type(API).values()
    assert api["Body"]["x-amazon-apigateway-gateway-responses"] == {
        name: {
            "responseParameters": {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"},
            "responseTemplates": {},
        }
        for name in ("DEFAULT_4XX", "DEFAULT_5XX")
    }
