"""The committed OpenAPI document: valid, up to date, and complete."""

import ast
import base64
import copy
import json
from pathlib import Path
from typing import Any

import openapi_spec_validator
import pytest
from samcli.yamlhelper import yaml_parse

from facet import preprocess
from facet.specs import InputSpec
from local.gateway.refusals import Refusal
from openapi import document
from openapi.models import PIXEL, PROBLEMS
from page import app as page
from page import files
from tests.support import contract
from tests.support.aws import fakes
from tests.support.contract import DOCUMENT, FILE, operations

ROOT = Path(__file__).parents[3]
COMMAND_LINE_PROBLEMS = {"conflict", "nothing-to-roll-back", "version-in-use"}
"""Problems that only the `facet` command meets: the API has no routes for releases."""

EVENTS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
POSTED = sorted(name for name, event in EVENTS.items() if event.get("httpMethod") == "POST")
GATEWAY_ERRORS = [each for each in Refusal if each is not Refusal.NO_ROUTE]
IDS = [described["operationId"] for _, _, described in operations()]
each_operation = pytest.mark.parametrize(
    ("method", "path", "described"), list(operations()), ids=IDS
)


def test_the_committed_file_is_what_make_openapi_writes(tmp_path: Path) -> None:
    document.main([str(tmp_path / "openapi.json")])
    written = (tmp_path / "openapi.json").read_text()
    assert FILE.read_text() == written, "run `make openapi`"


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    openapi_spec_validator.OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_the_document_has_the_templates_routes_and_which_need_a_key() -> None:
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    routed = {  # `{file+}` matches slashes too, for which OpenAPI has no notation
        (event["Properties"]["Method"], event["Properties"]["Path"].replace("+}", "}")): event[
            "Properties"
        ]
        for resource in resources.values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["Method"] != "OPTIONS"
    }
    keyed = {
        route: each.get("Auth", {}).get("ApiKeyRequired", True) for route, each in routed.items()
    }
    described = {
        (method, path): each["security"] == [{"key": []}] for method, path, each in operations()
    }
    assert described == keyed


@each_operation
def test_each_operation_is_described(method: str, path: str, described: dict[str, Any]) -> None:
    assert described["summary"]
    assert described["description"]
    assert [each["name"] for each in DOCUMENT["tags"] if each["name"] in described["tags"]]
    takes = method in ("POST", "PATCH") or (method, path) == ("DELETE", "/datasets/{name}/images")
    assert ("requestBody" in described) == takes, path


def test_operation_ids_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)


def test_every_problem_of_the_api_is_documented() -> None:
    documented = {
        name
        for _, _, described in operations()
        for answer in described["responses"].values()
        for name in answer.get("content", {}).get(document.PROBLEM, {}).get("examples", ())
    }
    assert documented == set(PROBLEMS) - COMMAND_LINE_PROBLEMS


@each_operation
def test_examples_match_their_schemas(method: str, path: str, described: dict[str, Any]) -> None:
    for status, answer in described["responses"].items():
        for media in answer.get("content", {}).values():
            for example in media.get("examples", {}).values():
                contract.check(media["schema"], example["value"])
                assert str(example["value"]["status"]) == status, (method, path)


@pytest.mark.parametrize("refusal", GATEWAY_ERRORS, ids=lambda each: each.name)
@each_operation
def test_errors_of_api_gateway_are_documented(
    refusal: Refusal, method: str, path: str, described: dict[str, Any]
) -> None:
    if refusal is Refusal.FORBIDDEN and not described["security"]:
        assert "403" not in described["responses"]
    elif refusal is not Refusal.TOO_LONG or "requestBody" in described:
        answer = refusal.response()
        headers = dict(answer.headers)
        contract.check_answer(method, path, answer.status_code, headers, answer.get_json())


def test_the_example_image_can_be_decoded() -> None:
    spec = InputSpec(tensor="image", height=1, width=1)
    image = preprocess.decode(spec, base64.b64decode(PIXEL))
    assert preprocess.apply(spec, image).shape == (1, 1, 3)


def test_the_server_url_is_relative_to_the_document() -> None:
    assert [each["url"] for each in DOCUMENT["servers"]] == ["."]


def test_the_functions_do_not_import_the_openapi_package() -> None:
    paths = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers").rglob("*.py")]
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert str(node.module).partition(".")[0] != "openapi", path


@pytest.mark.parametrize("name", POSTED)
def test_accepted_bodies_are_documented(name: str) -> None:
    event = EVENTS[name]
    kind = event["headers"]["Content-Type"]
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"]
    document = json.loads(body) if kind == "application/json" else None
    contract.check_request("POST", event["path"], kind, document)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image": 1},
        {"images": []},
        {"image": PIXEL, "images": [PIXEL]},
        {"image": PIXEL, "x": 1},
    ],
    ids=["empty", "no text", "no images", "both", "more"],
)
def test_rejected_bodies_are_not_documented(body: object) -> None:
    with pytest.raises(AssertionError):
        contract.check_request("POST", "/models/cifar/predict", "application/json", body)


@pytest.mark.parametrize("name", ["page", "page-docs", "page-file", "page-openapi"])
def test_responses_of_the_pages_are_documented(name: str) -> None:
    event = copy.deepcopy(EVENTS[name])
    answer = page.handler(event, fakes.Context())  # type: ignore[arg-type]
    check_page(event, answer)
    event["headers"]["If-None-Match"] = answer["headers"]["ETag"]
    again = page.handler(event, fakes.Context())  # type: ignore[arg-type]
    assert again["statusCode"] == 304
    check_page(event, again)


@pytest.mark.parametrize("file", sorted({"nothing.js"} | files.names()))
def test_the_media_type_of_every_page_file_is_documented(file: str) -> None:
    event = copy.deepcopy(EVENTS["page-file"])
    event["pathParameters"]["file"] = file
    check_page(event, page.handler(event, fakes.Context()))  # type: ignore[arg-type]


def check_page(event: dict[str, Any], answer: dict[str, Any]) -> None:
    body = answer["body"]
    if "json" in answer["headers"].get("Content-Type", ""):
        body = json.loads(body)
    contract.check_answer("GET", event["path"], answer["statusCode"], answer["headers"], body)


MODELS: dict[str, Any] = {"models": [], "next": None}
SENT = {"Content-Type": "application/json", "ETag": '"0"'}


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/models", 200, MODELS | {"more": 1}),
        ("/models", 200, {"models": []}),
        ("/models", 200, {"models": [{"name": "cifar"}], "next": None}),
        ("/models", 201, MODELS),
        ("/models", 404, {"message": "Not Found"}),
    ],
    ids=["a field more", "a field less", "within", "another status", "another error"],
)
def test_an_undocumented_response_is_detected(path: str, status: int, body: object) -> None:
    contract.check_answer("GET", "/models", 200, SENT, MODELS)
    with pytest.raises(AssertionError):
        contract.check_answer("GET", path, status, SENT, body)


def test_an_undocumented_problem_is_detected() -> None:
    responses = contract.operation("GET", "/models/cifar")["responses"]
    (media,) = responses["404"]["content"].values()
    problem = media["examples"]["unknown-model"]["value"]
    sent = {"Content-Type": document.PROBLEM}
    contract.check_answer("GET", "/models/cifar", 404, sent, problem)
    other = problem | {"type": "urn:facet:problem:unknown-version"}
    with pytest.raises(AssertionError, match="unknown-version"):
        contract.check_answer("GET", "/models/cifar", 404, sent, other)


def test_a_missing_documented_header_is_detected() -> None:
    body = {"model": "cifar", "version": "0" * 12, "predictions": []}
    sent = {"Content-Type": "application/json", "X-Model-Version": "0" * 12}
    with pytest.raises(AssertionError):
        contract.check_answer("POST", "/models/cifar/predict", 200, sent, body)
