"""The API client waits for a busy endpoint and reports every other error."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3

from cli.client.api import Api, ApiError, ApiUnreachable, RetryBudget, parse
from cli.models import ModelSummary
from cli.predict.batches import EncodedImage
from cli.predict.results import Prediction, PredictionOptions, Result, predict_batch
from facet.errors import UnknownModel
from predict.http.body import MAX_BODY

OK = {"status": "ok"}


PAGES = [
    {"model": "cifar", "versions": [{"version": "a"}], "next_token": "a"},
    {"model": "cifar", "versions": [{"version": "b"}], "next_token": None},
]


class Server(ThreadingHTTPServer):
    """Sends prepared answers in order: status, Retry-After, body.

    `requested` has the paths, `sent` the bodies.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.answers: list[tuple[int, str | None, bytes]] = []
        self.requested: list[str] = []
        self.sent: list[bytes] = []

    def will(self, status: int, document: Any, later: str | None = None) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers.append((status, later, body))


class _Request(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.sent.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        status, later, body = self.server.answers.pop(0)
        self.send_response(status)
        if later:
            self.send_header("Retry-After", later)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for failures."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Waits:
    """Records the waits in `seconds`, and their messages."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.messages: list[str] = []

    def budget(self, left: float = 20) -> RetryBudget:
        return RetryBudget(left, self.seconds.append, self.messages.append)


def api(server: Server, budget: RetryBudget) -> Api:
    return Api(f"http://127.0.0.1:{server.server_port}/v1", "key", budget)


def test_waits_as_long_as_retry_after(server: Server) -> None:
    server.will(503, {"detail": "The model is loading."}, "5")
    server.will(429, {"message": "Too Many Requests"})
    server.will(200, OK)
    waits = Waits()
    assert api(server, waits.budget()).health() == "ok"
    assert waits.seconds == [5, 1]
    assert waits.messages == ["The model is loading. Waiting up to 20 s."]


def test_all_requests_share_one_retry_budget(server: Server) -> None:
    waits = Waits()
    client = api(server, waits.budget(12))
    for _ in range(4):
        server.will(503, {"detail": "The model is loading."}, "5")
    for waited in ([5, 5], [5, 5]):
        with pytest.raises(ApiError, match="The model is loading") as error:
            client.health()
        assert (error.value.status, waits.seconds) == (503, waited)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, {"detail": "There is none."}, "There is none."),
        (504, {"message": "Endpoint request timed out"}, "Endpoint request timed out"),
        (502, b"<html>", "the API answered with status 502"),
        (500, [], "the API answered with status 500"),
        (403, {"message": "Forbidden"}, "the API rejects this key (Forbidden)"),
    ],
)
def test_reports_other_errors_without_waiting(
    server: Server, status: int, body: Any, message: str
) -> None:
    server.will(status, body)
    waits = Waits()
    with pytest.raises(ApiError) as error:
        api(server, waits.budget()).health()
    assert str(error.value).startswith(message)
    assert (error.value.status, waits.seconds) == (status, [])


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_rejects_answers_of_another_api(server: Server, body: bytes) -> None:
    server.will(200, body)
    with pytest.raises(ApiUnreachable, match="check that it is a Facet API"):
        api(server, RetryBudget()).health()
    with pytest.raises(ApiUnreachable, match="the API's answer is not a ModelSummary"):
        parse(ModelSummary, {"name": "cifar"})


def test_reads_all_pages(server: Server) -> None:
    server.will(200, {"models": [{"name": "a"}, {"name": "b"}], "next": "b"})
    server.will(200, {"models": [{"name": "c"}], "next": None})
    assert [each["name"] for each in api(server, RetryBudget()).models()] == ["a", "b", "c"]
    assert server.requested == ["/v1/models?limit=100", "/v1/models?limit=100&after=b"]


IMAGES = (EncodedImage("a", b"1"), EncodedImage("b", b"2"))
ANSWER = {"version": "v", "predictions": [{"label": "cat", "score": 0.5}]}


@pytest.mark.parametrize("status", [413, 415, 422, 504])
def test_sends_the_images_of_a_failed_batch_one_by_one(server: Server, status: int) -> None:
    server.will(status, {"detail": "Not so."})
    server.will(200, ANSWER)
    server.will(status, {"detail": "Not so."})
    found = predict_batch(api(server, RetryBudget(0)), PredictionOptions("m", 1), IMAGES)
    assert found == [
        Result("a", "v", (Prediction(label="cat", score=0.5),)),
        Result("b", error="Not so."),
    ]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_reports_a_server_error_for_every_image_of_the_batch(server: Server, status: int) -> None:
    server.will(status, {"detail": "Not now."})
    found = predict_batch(api(server, RetryBudget(0)), PredictionOptions("m", 1), IMAGES)
    assert found == [Result("a", error="Not now."), Result("b", error="Not now.")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_stops_at_an_error_that_affects_every_image(server: Server, status: int) -> None:
    server.will(status, {"detail": "Never."})
    with pytest.raises(ApiError):
        predict_batch(api(server, RetryBudget(0)), PredictionOptions("m", 1), IMAGES)


def test_a_model_is_read_with_the_versions_of_all_pages(server: Server) -> None:
    for page in PAGES:
        server.will(200, page)
    model = api(server, RetryBudget()).model("cifar")
    assert [each["version"] for each in model["versions"]] == ["a", "b"]
    assert server.requested == ["/v1/models/cifar", "/v1/models/cifar?next_token=a"]


LARGE = (EncodedImage("a", b"x" * (MAX_BODY + 1)),)


def form(server: Server, max_bytes: int = 5_000_000) -> dict[str, Any]:
    return {
        "s3": "inbox/a",
        "url": f"http://127.0.0.1:{server.server_port}/bucket",
        "fields": {"key": "inbox/a", "policy": "p"},
        "content_type": "image/jpeg",
        "max_bytes": max_bytes,
    }


def test_an_image_too_large_for_a_request_goes_through_an_upload(server: Server) -> None:
    server.will(201, form(server))
    server.will(204, b"")
    server.will(200, ANSWER)
    found = predict_batch(api(server, RetryBudget(0)), PredictionOptions("m", 1), LARGE)
    assert [each.error for each in found] == [""]
    assert server.requested == ["/v1/uploads", "/bucket", "/v1/models/m/predict?top_k=1"]
    _, uploaded, asked = server.sent
    assert json.loads(asked) == {"s3": "inbox/a"}
    assert uploaded.index(b'name="policy"') < uploaded.index(b'name="file"')
    assert LARGE[0].data in uploaded


def test_an_upload_that_fails_is_one_image_s_error(server: Server) -> None:
    server.will(201, form(server))
    server.will(403, b"<Error/>")
    server.will(201, form(server, max_bytes=10))
    for reason in ("the upload failed: S3 answered 403", "it has 4,500,001 bytes; the limit"):
        found = predict_batch(api(server, RetryBudget(0)), PredictionOptions("m", 1), LARGE)
        assert found[0].error.startswith(reason)


def test_waits_for_an_answer_as_long_as_api_gateway_does() -> None:
    waited: list[urllib3.Timeout] = []

    class Pool(urllib3.PoolManager):
        def request(self, *_: Any, timeout: urllib3.Timeout, **__: Any) -> Any:  # type: ignore[override]
            waited.append(timeout)
            return urllib3.HTTPResponse(json.dumps(OK).encode(), status=200)

    assert Api("http://127.0.0.1:1", "key", pool=Pool()).health() == "ok"
    (timeout,) = waited
    assert timeout.total is None
    assert timeout.connect_timeout == 5
    assert timeout.read_timeout == 35


@pytest.mark.parametrize("name", ["sub/cats", "MyModel", "../health", "cats?"])
def test_a_name_that_no_model_can_have_is_not_sent(server: Server, name: str) -> None:
    """API Gateway answers 403 for a path with more parts, which would look like a wrong key."""
    client = api(server, RetryBudget())
    with pytest.raises(UnknownModel, match=r"no model can have this name.*facet watch"):
        client.model(name)
    with pytest.raises(UnknownModel):
        client.predict(name, b"", "", top_k=1, version=None)
    assert server.requested == []
