"""local/gateway/proxy.py: requests as API Gateway's events, results as its responses."""

import base64
import json
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from local.gateway import proxy
from local.gateway.routes import RestApi, Route

ROUTE = Route("/models/{model}/predict", "POST", "PredictFunction", needs_key=True)
BINARY = RestApi((ROUTE,), binary=True, stage="v1", error_headers={})
TEXT = RestApi((ROUTE,), binary=False, stage="v1", error_headers={})


def event(api: RestApi = BINARY, **options: Any) -> dict[str, Any]:
    builder = EnvironBuilder("/models/cifar/predict", "http://localhost:8000", **options)
    request = Request(builder.get_environ() | {"REMOTE_ADDR": "10.0.0.1"})
    return proxy.event(request, api, ROUTE, {"model": "cifar"}, request_id="r-1", key="secret")


def response(api: RestApi = BINARY, **result: Any) -> Response:
    return proxy.response(json.dumps(result).encode(), api)


def test_an_event_has_the_keys_that_api_gateway_documents() -> None:
    made = event()
    assert made.keys() == {
        *("resource", "path", "httpMethod", "headers", "multiValueHeaders"),
        *("queryStringParameters", "multiValueQueryStringParameters", "pathParameters"),
        *("stageVariables", "requestContext", "body", "isBase64Encoded"),
    }
    assert made["requestContext"].keys() == {
        *("accountId", "apiId", "domainName", "domainPrefix", "extendedRequestId", "httpMethod"),
        *("identity", "path", "protocol", "requestId", "requestTime", "requestTimeEpoch"),
        *("resourceId", "resourcePath", "stage"),
    }


def test_what_a_request_lacks_is_null() -> None:
    made = event()
    assert made["body"] is None
    assert made["isBase64Encoded"] is False
    assert made["queryStringParameters"] is None
    assert made["multiValueQueryStringParameters"] is None
    assert made["stageVariables"] is None


def test_the_last_value_of_a_repeated_query_parameter_counts() -> None:
    made = event(query_string="tag=a&tag=b&empty=")
    assert made["queryStringParameters"] == {"tag": "b", "empty": ""}
    assert made["multiValueQueryStringParameters"] == {"tag": ["a", "b"], "empty": [""]}


def test_forwarding_headers_name_client_port_and_scheme() -> None:
    made = event(headers={"X-Forwarded-For": "192.0.2.1"})
    assert made["headers"]["X-Forwarded-For"] == "10.0.0.1"
    assert made["headers"]["X-Forwarded-Port"] == "8000"
    assert made["multiValueHeaders"]["X-Forwarded-Proto"] == ["http"]


def test_a_body_is_base64_with_binary_media_types_and_text_without() -> None:
    binary, text = event(data=b"\xff\xd8"), event(TEXT, data="é".encode())
    assert (binary["body"], binary["isBase64Encoded"]) == (
        base64.b64encode(b"\xff\xd8").decode(),
        1,
    )
    assert (text["body"], text["isBase64Encoded"]) == ("é", False)


def test_an_empty_result_is_an_empty_200() -> None:
    made = response()
    assert (made.status_code, made.data) == (200, b"")
    assert made.headers["Content-Type"] == "application/json"


def test_merges_headers_and_sends_an_equal_pair_once() -> None:
    made = response(
        headers={"Vary": "Origin", "ETag": '"1"'}, multiValueHeaders={"Vary": ["Accept", "Origin"]}
    )
    assert made.headers.getlist("Vary") == ["Accept", "Origin"]
    assert made.headers["ETag"] == '"1"'


def test_numbers_and_booleans_are_header_values() -> None:
    made = response(headers={"Retry-After": 2}, multiValueHeaders={"X-Cold": [True]})
    assert made.headers["Retry-After"] == "2"
    assert made.headers["X-Cold"] == "true"


def test_base64_is_decoded_only_with_binary_media_types() -> None:
    assert response(body="/9g=", isBase64Encoded=True).data == b"\xff\xd8"
    assert response(TEXT, body="/9g=", isBase64Encoded=True).data == b"/9g="


@pytest.mark.parametrize(
    "result",
    [
        {"status": 200},
        {"statusCode": "many"},
        {"statusCode": 0},
        {"statusCode": -1},
        {"statusCode": 200, "multiValueHeaders": {"Vary": "abc"}},
        {"statusCode": 200, "body": {"label": "cat"}},
        {"statusCode": 200, "body": "not base64", "isBase64Encoded": True},
        {"statusCode": 200, "isBase64Encoded": "true"},
        {"statusCode": 200, "headers": ["Vary"]},
        {"statusCode": 200, "headers": {"Vary": ["Origin"]}},
        {"statusCode": 200, "headers": {"Vary": "a\nb"}},
        {"statusCode": 200, "multiValueHeaders": {"Vary": 1}},
    ],
)
def test_rejects_a_malformed_result(result: dict[str, Any]) -> None:
    with pytest.raises(proxy.MalformedResult):
        response(**result)


@pytest.mark.parametrize("payload", [b"not JSON", b"\xff", b"[]", b'"text"', b"null"])
def test_rejects_a_result_that_is_no_json_object(payload: bytes) -> None:
    with pytest.raises(proxy.MalformedResult):
        proxy.response(payload, BINARY)
