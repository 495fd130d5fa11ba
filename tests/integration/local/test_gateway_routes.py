"""The gateway over HTTP, in front of a function that answers in this program."""

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import template
from local.gateway.routes import read_api
from local.gateway.server import Gateway, PortTaken
from local.gateway.usage_plan import UsagePlan
from local.runtime.pool import Invocation, InvokeError, RequestTooLarge, UnknownFunction
from local.supported import UnsupportedTemplate
from tests.support.processes.waiting import LONG

TEMPLATE = Path(__file__).parents[2] / "handlers" / "template.yaml"
API = read_api(template.load(TEMPLATE).resources, "v7")
KEY = {"x-api-key": "secret"}
PREDICT = "/models/cifar/predict"

Answer = Callable[[], Invocation]
Connect = Callable[..., httpx.Client]


def proxy_answer(**properties: Any) -> Invocation:
    answer = {"statusCode": 200, "body": "{}", **properties}
    return Invocation(json.dumps(answer).encode(), None, "r", b"")


class Function:
    """Remembers the events it gets; gives the answers it was told."""

    def __init__(self) -> None:
        self.reset()

    def __call__(self, name: str, payload: bytes) -> Invocation:
        self.names.append(name)
        self.events.append(json.loads(payload))
        return self.answer()

    def reset(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.answer: Answer = proxy_answer


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    """Starts a gateway in front of a function and connects to it."""
    with ExitStack() as opened:

        def connect(function: Function, **options: Any) -> httpx.Client:
            gateway = Gateway(API, function, {"secret"}, **options)
            opened.enter_context(gateway)
            return opened.enter_context(httpx.Client(base_url=gateway.url, timeout=LONG))

        yield connect


@pytest.fixture(scope="module")
def served(connect: Connect) -> tuple[Function, httpx.Client]:
    function = Function()
    return function, connect(function)


@pytest.fixture
def function(served: tuple[Function, httpx.Client]) -> Function:
    served[0].reset()
    return served[0]


@pytest.fixture
def client(served: tuple[Function, httpx.Client]) -> httpx.Client:
    return served[1]


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-amzn-RequestId"]
    message = response.json()["message"]
    return response.status_code, response.headers["x-amzn-ErrorType"], message


def test_a_route_without_apikeyrequired_needs_no_key(
    client: httpx.Client, function: Function
) -> None:
    assert client.get("/health").status_code == 200
    assert function.names == ["ProxyFunction"]
    (event,) = function.events
    assert event["httpMethod"] == "GET"
    assert event["path"] == event["resource"] == "/health"
    assert event["body"] is None
    assert event["isBase64Encoded"] is False
    assert event["requestContext"]["identity"]["apiKey"] is None


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"x-api-key": "wrong"}])
@pytest.mark.parametrize(("method", "path"), [("GET", "/models/cifar"), ("POST", PREDICT)])
def test_rejects_a_request_without_a_valid_key(
    client: httpx.Client, function: Function, headers: dict[str, str], method: str, path: str
) -> None:
    response = client.request(method, path, headers=headers)
    assert refusal(response) == (403, "ForbiddenException", "Forbidden")
    assert function.events == []


def test_the_function_gets_an_image_as_a_proxy_event(
    client: httpx.Client, function: Function
) -> None:
    image = bytes(range(256))
    response = client.post(
        f"{PREDICT}?top_k=3&tag=a&tag=b",
        content=image,
        headers={**KEY, "Content-Type": "image/jpeg", "User-Agent": "tests"},
    )
    (event,) = function.events
    assert base64.b64decode(event["body"]) == image
    assert event["isBase64Encoded"] is True
    assert event["resource"] == "/models/{model}/predict"
    assert event["path"] == PREDICT
    assert event["pathParameters"] == {"model": "cifar"}
    assert event["queryStringParameters"] == {"top_k": "3", "tag": "b"}
    assert event["multiValueQueryStringParameters"] == {"top_k": ["3"], "tag": ["a", "b"]}
    assert event["headers"]["Content-Type"] == "image/jpeg"
    assert event["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert event["headers"]["X-Forwarded-Port"] == str(client.base_url.port)
    context = event["requestContext"]
    assert context["requestId"] == response.headers["x-amzn-RequestId"]
    assert context["stage"] == "v7"
    assert context["identity"]["apiKey"] == "secret"
    assert context["identity"]["sourceIp"] == "127.0.0.1"
    assert context["identity"]["userAgent"] == "tests"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"],
)
def test_a_body_of_any_content_type_is_passed_on_unchanged(
    client: httpx.Client, function: Function, content_type: str
) -> None:
    body = b'--b\r\n{"image": "\xff\xd8"}&a=b'
    client.post(PREDICT, content=body, headers={**KEY, "Content-Type": content_type})
    assert base64.b64decode(function.events[0]["body"]) == body
    assert function.events[0]["isBase64Encoded"] is True


def test_each_request_has_its_own_id_and_time(client: httpx.Client, function: Function) -> None:
    ids = {client.get("/health").headers["x-amzn-RequestId"] for _ in range(3)}
    assert len(ids) == 3
    times = [event["requestContext"]["requestTimeEpoch"] for event in function.events]
    assert times == sorted(times)
    assert times[0] < times[2]


def test_the_client_gets_status_headers_and_body_of_the_result(
    client: httpx.Client, function: Function
) -> None:
    function.answer = lambda: proxy_answer(
        statusCode=404,
        headers={"Content-Type": "application/problem+json", "X-Model-Version": "0"},
        multiValueHeaders={"Server-Timing": ["decode;dur=1", "invoke;dur=2"]},
        body='{"title": "é"}',
    )
    response = client.post(PREDICT, headers=KEY)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-model-version"] == "0"
    assert response.headers.get_list("server-timing") == ["decode;dur=1", "invoke;dur=2"]
    assert response.json() == {"title": "é"}
    assert "x-amzn-ErrorType" not in response.headers


@pytest.mark.parametrize("accept", ["*/*", "application/json", None])
def test_decodes_a_binary_body_whatever_the_client_accepts(
    client: httpx.Client, function: Function, accept: str | None
) -> None:
    function.answer = lambda: proxy_answer(
        headers={"Content-Type": "image/png"},
        body=base64.b64encode(b"\x89PNG\xff").decode(),
        isBase64Encoded=True,
    )
    request = client.build_request("GET", "/health", headers={"Accept": accept or ""})
    if accept is None:
        del request.headers["Accept"]
    assert client.send(request).content == b"\x89PNG\xff"
    assert function.events[0]["headers"].get("Accept") == accept


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/models"), ("DELETE", "/models/cifar"), ("HEAD", "/health")],
)
def test_an_unknown_route_is_missing_authentication_token(
    client: httpx.Client, method: str, path: str
) -> None:
    response = client.request(method, path, headers=KEY)
    assert response.status_code == 403
    assert response.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    if method != "HEAD":
        assert response.json() == {"message": "Missing Authentication Token"}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("excess", [1, 1_000_000])
def test_rejects_a_body_over_10_megabytes(
    client: httpx.Client, function: Function, chunked: bool, excess: int
) -> None:
    body = b"x" * (10 * 1024 * 1024 + excess)
    response = client.post(PREDICT, content=iter([body]) if chunked else body, headers=KEY)
    assert refusal(response) == (413, "BadRequestException", "Request Too Long")
    assert function.events == []


def raising(error: InvokeError) -> Answer:
    def answer() -> Invocation:
        raise error

    return answer


def test_rejects_an_event_over_6_megabytes(client: httpx.Client, function: Function) -> None:
    function.answer = raising(RequestTooLarge("ProxyFunction", 7_000_000))
    response = client.post(PREDICT, headers=KEY)
    assert refusal(response) == (413, "BadRequestException", "Request Too Long")


def test_a_missing_function_is_500(client: httpx.Client, function: Function) -> None:
    function.answer = raising(UnknownFunction("ProxyFunction", []))
    response = client.post(PREDICT, headers=KEY)
    assert refusal(response) == (500, "InternalServerErrorException", "Internal server error")


@pytest.mark.parametrize(
    "answer",
    [
        Invocation(b'{"errorType": "ValueError"}', "Unhandled", "r", b""),
        Invocation(b"not JSON", None, "r", b""),
        Invocation(b"\xff", None, "r", b""),
        Invocation(b"[]", None, "r", b""),
        Invocation(b'{"status": "fine"}', None, "r", b""),
        proxy_answer(statusCode="many"),
        proxy_answer(headers=["Content-Type"]),
        proxy_answer(headers={"X-Model-Version": "a\nb"}),
        proxy_answer(isBase64Encoded="perhaps"),
    ],
)
def test_a_failed_function_or_a_malformed_result_is_502(
    client: httpx.Client, function: Function, answer: Invocation, caplog: pytest.LogCaptureFixture
) -> None:
    function.answer = lambda: answer
    response = client.post(PREDICT, headers=KEY)
    assert refusal(response) == (502, "InternalServerErrorException", "Internal server error")
    assert response.headers["x-amzn-RequestId"] in caplog.text
    assert "ProxyFunction" in caplog.text


def test_a_function_that_takes_too_long_is_504(connect: Connect, function: Function) -> None:
    released = threading.Event()

    def answer() -> Invocation:
        released.wait(LONG)
        return proxy_answer()

    function.answer = answer
    client = connect(function, timeout=0.2)
    response = client.post(PREDICT, headers=KEY)
    released.set()
    assert refusal(response) == (
        504,
        "InternalServerErrorException",
        "Endpoint request timed out",
    )


def test_throttles_by_the_usage_plan(connect: Connect, function: Function) -> None:
    client = connect(function, plan=UsagePlan(rate=0.001, burst=2))
    responses = [client.get("/models/cifar", headers=KEY) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]
    assert refusal(responses[2]) == (429, "TooManyRequestsException", "Too Many Requests")
    assert len(function.events) == 2
    assert client.get("/health").status_code == 200


def test_ends_a_quota(connect: Connect, function: Function) -> None:
    client = connect(function, plan=UsagePlan(rate=1000, burst=1000, quota=1))
    responses = [client.get("/models/cifar", headers=KEY) for _ in range(2)]
    assert responses[0].status_code == 200
    assert refusal(responses[1]) == (429, "LimitExceededException", "Limit Exceeded")


def test_requests_print_and_warn_nothing(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    client.get("/health")
    client.get("/nope")
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_thousand_abandoned_requests_hold_nobody_up(connect: Connect) -> None:
    """Each of them was carried out, and 3,000 stopped the stack for minutes."""
    function, turn, abandoned = Function(), threading.Lock(), threading.Event()

    def answer() -> Invocation:
        abandoned.wait(LONG)
        with turn:  # as a function with one worker
            time.sleep(0.01)
        return proxy_answer()

    function.answer = answer
    client = connect(function)
    address = (client.base_url.host, client.base_url.port)
    opened = [socket.create_connection(address) for _ in range(1000)]
    for each in opened:
        each.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    for each in opened:
        each.close()
    abandoned.set()
    assert client.get("/health").status_code == 200
    assert len(function.names) < 700


def test_idle_connections_take_no_threads(client: httpx.Client, function: Function) -> None:
    del function
    address = (client.base_url.host, client.base_url.port)
    before = threading.active_count()
    with ExitStack() as opened:
        for _ in range(300):
            opened.enter_context(socket.create_connection(address))
        assert client.get("/health").status_code == 200
        assert threading.active_count() < before + 50


def test_rejects_a_port_in_use(function: Function) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        gateway = Gateway(API, function, set(), port)
        with pytest.raises(PortTaken, match=f"port {port} is in use"):
            gateway.start()
        gateway.close()


def test_close_frees_the_port(function: Function) -> None:
    with Gateway(API, function, set()) as gateway:
        port = int(gateway.url.rpartition(":")[2])
    with Gateway(API, function, set(), port) as gateway:
        assert httpx.get(f"{gateway.url}/health", timeout=LONG).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("*~1*", "image~1png", "BinaryMediaTypes"),
        (
            "ApiKeyRequired: true}",
            "ApiKeyRequired: true, DefaultAuthorizer: AWS_IAM}",
            "no authorizer",
        ),
        (
            "ApiKeyRequired: true}",
            "ApiKeyRequired: true}\n      Cors: \"'*'\"",
            "OPTIONS .*: .* proxy integrations only",
        ),
        (
            "ApiKeyRequired: true}",
            "ApiKeyRequired: true}\n      GatewayResponses: {DEFAULT_4XX: {ResponseParameters: "
            "{Headers: {Retry-After: method.request.header.Date}}}}",
            "DEFAULT_4XX: .* only static headers",
        ),
        (
            "ApiKeyRequired: true}",
            "ApiKeyRequired: true}\n      GatewayResponses: {THROTTLED: {StatusCode: 503}}",
            "THROTTLED: .* only headers of DEFAULT_4XX",
        ),
    ],
)
def test_rejects_a_template_with_what_it_does_not_support(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    text = TEMPLATE.read_text()
    assert old in text
    path = tmp_path / "template.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UnsupportedTemplate, match=reason):
        read_api(template.load(path).resources)


def test_rejects_a_template_without_a_rest_api() -> None:
    with pytest.raises(UnsupportedTemplate, match="one REST API, not 0"):
        read_api({})


def test_errors_of_the_gateway_have_the_headers_of_its_gateway_responses() -> None:
    facet = read_api(template.load(Path(__file__).parents[3] / "template.yaml").resources)
    with Gateway(facet, Function(), {"secret"}) as gateway:
        refused = httpx.get(f"{gateway.url}/models/cifar", timeout=LONG)
        assert refused.status_code == 403
        assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_errors_have_no_cors_header_without_gateway_responses(client: httpx.Client) -> None:
    assert "Access-Control-Allow-Origin" not in client.get("/models/cifar").headers
