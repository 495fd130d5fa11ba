"""What local/gateway_service.py relies on in samcli, whose API is private.

A failure here names the hook that a new version of aws-sam-cli changed; test_gateway_routes.py says
what it did to the gateway.
"""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest
from samcli.commands._utils.template import get_template_data
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.provider import Api
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.local.apigw.local_apigw_service import LocalApigwService
from samcli.local.apigw.route import Route
from samcli.yamlhelper import yaml_parse

TEMPLATE = Path(__file__).parents[2] / "handlers" / "template.yaml"

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")


@pytest.fixture
def api() -> Api:
    stacks, _ = SamLocalStackProvider.get_stacks(
        str(TEMPLATE), parameter_overrides={"StageName": "v7"}
    )
    return ApiProvider(stacks, cwd=str(TEMPLATE.parent)).api


def test_the_template_is_read(api: Api) -> None:
    assert api.stage_name == "v7"
    assert api.binary_media_types == ["*/*"]
    assert not api.cors
    routes = {
        (route.path, *route.methods, route.function_name, route.event_type, route.authorizer_name)
        for route in api.routes
    }
    assert routes == {
        ("/health", "GET", "ProxyFunction", Route.API, None),
        ("/models/{model}", "GET", "ProxyFunction", Route.API, None),
        ("/models/{model}/predict", "POST", "ProxyFunction", Route.API, None),
    }
    assert all(route.cors is None for route in api.routes)


def test_the_translation_names_the_routes_with_a_key() -> None:
    validator = SamTemplateValidator(
        get_template_data(str(TEMPLATE)),
        SimpleNamespace(load=dict),
        region="us-east-1",
        parameter_overrides={},
    )
    template = yaml_parse(validator.get_translated_template_if_valid())
    paths = template["Resources"]["Api"]["Properties"]["Body"]["paths"]
    assert paths["/models/{model}"]["get"]["security"] == [{"api_key": []}]
    assert paths["/health"]["get"]["security"] == []


def test_the_service_is_made_of_these_parts(api: Api) -> None:
    runner = SimpleNamespace(is_debugging=lambda: False)
    service = LocalApigwService(api, runner, host="127.0.0.1")
    service.create()
    assert service.port is None
    assert {rule.rule for rule in service._app.url_map.iter_rules()} >= {
        "/health",
        "/models/<model>",
        "/models/<model>/predict",
    }
    assert service._app.view_functions["/health"] == service._request_handler


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_request_handler", ["self", "kwargs"]),
        ("_get_current_route", ["self", "flask_request"]),
        ("_generate_lambda_event", ["self", "flask_request", "route", "method", "endpoint"]),
        (
            "_parse_v1_payload_format_lambda_output",
            ["lambda_output", "binary_types", "flask_request", "event_type"],
        ),
        ("service_response", ["body", "headers", "status_code"]),
    ],
)
def test_the_service_has_these_hooks(name: str, parameters: list[str]) -> None:
    hook = getattr(LocalApigwService, name)
    assert list(inspect.signature(hook).parameters) == parameters
