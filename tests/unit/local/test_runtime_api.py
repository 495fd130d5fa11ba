"""The Runtime API as a client meets it, without a worker."""

import http.client
import json
from collections.abc import Iterator

import pytest

from local.runtime.api import RESPONSE_LIMIT, Answered, Event, InitFailed, Ready, RuntimeApi
from tests.support.processes.waiting import LONG

ROOT = "/2018-06-01/runtime"
EVENT = Event(
    request_id="request-1",
    payload=b'{"a": 1}',
    deadline=1_700_000_000.25,
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:echo",
    trace_id="Root=1-2-3;Parent=4;Sampled=0",
)


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    yield api
    api.stop()


@pytest.fixture
def client(api: RuntimeApi) -> Iterator[http.client.HTTPConnection]:
    client = http.client.HTTPConnection(api.address, timeout=LONG)
    yield client
    client.close()


def test_the_first_request_for_an_event_reports_ready(
    api: RuntimeApi, client: http.client.HTTPConnection
) -> None:
    client.request("GET", f"{ROOT}/invocation/next")
    assert api.wait(LONG) == Ready()

    api.send(EVENT)

    response = client.getresponse()
    assert response.status == 200
    assert response.read() == EVENT.payload
    assert response.headers["Lambda-Runtime-Aws-Request-Id"] == "request-1"
    assert response.headers["Lambda-Runtime-Deadline-Ms"] == "1700000000250"
    assert response.headers["Lambda-Runtime-Invoked-Function-Arn"] == EVENT.function_arn
    assert response.headers["Lambda-Runtime-Trace-Id"] == EVENT.trace_id


@pytest.mark.parametrize(("kind", "failed"), [("response", False), ("error", True)])
@pytest.mark.parametrize("chunked", [False, True])
def test_reports_a_response(
    api: RuntimeApi,
    client: http.client.HTTPConnection,
    kind: str,
    failed: bool,
    chunked: bool,
) -> None:
    api.send(EVENT)
    body = [b'{"b', b'": 2}'] if chunked else b'{"b": 2}'

    client.request("POST", f"{ROOT}/invocation/request-1/{kind}", body, encode_chunked=chunked)
    assert client.getresponse().read() == b'{"status":"OK"}'

    assert api.wait(LONG) == Answered(b'{"b": 2}', failed)


def test_reports_an_init_error(api: RuntimeApi, client: http.client.HTTPConnection) -> None:
    document = json.dumps({"errorType": "Runtime.ImportModuleError"}).encode()
    client.request("POST", f"{ROOT}/init/error", document)
    assert client.getresponse().status == 202
    assert api.wait(LONG) == InitFailed(document)


def test_answers_413_to_a_response_over_the_limit(
    api: RuntimeApi, client: http.client.HTTPConnection
) -> None:
    api.send(EVENT)
    client.request("POST", f"{ROOT}/invocation/request-1/response", b"x" * (RESPONSE_LIMIT + 1))
    assert client.getresponse().status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{ROOT}/invocation/request-0/response", 400),
        ("POST", f"{ROOT}/invocation/request-1/applause", 404),
        ("GET", f"{ROOT}/restore/next", 404),
    ],
)
def test_rejects_unknown_requests(
    api: RuntimeApi, client: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    api.send(EVENT)
    client.request(method, path, b"" if method == "POST" else None)
    assert client.getresponse().status == status
    assert api.wait(0) is None


def test_stop_ends_a_pending_request_for_an_event(
    api: RuntimeApi, client: http.client.HTTPConnection
) -> None:
    client.request("GET", f"{ROOT}/invocation/next")
    assert api.wait(LONG) == Ready()

    api.stop()

    with pytest.raises(http.client.RemoteDisconnected):
        client.getresponse()
