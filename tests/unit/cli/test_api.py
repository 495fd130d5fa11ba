"""The API as a client meets it: busy, broken, or something else altogether."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli.client.api import Api, ApiRefused, ApiUnreachable, Patience, parsed
from cli.models import Listed
from cli.predict.batches import EncodedImage
from cli.predict.results import Question, Ranked, Result, answers

OK = {"status": "ok"}


class Server(ThreadingHTTPServer):
    """Answers one after the other: status, Retry-After, body. `asked` has the paths."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.answers: list[tuple[int, str | None, bytes]] = []
        self.asked: list[str] = []

    def will(self, status: int, document: Any, later: str | None = None) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.answers.append((status, later, body))


class _Request(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
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
    """Time that passes only in `seconds`; `told` has what was said."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.told: list[str] = []

    def patience(self, left: float = 20) -> Patience:
        return Patience(left, self.seconds.append, self.told.append)


def api(server: Server, patience: Patience) -> Api:
    return Api(f"http://127.0.0.1:{server.server_port}/v1", "key", patience)


def test_it_waits_as_long_as_it_is_told_to(server: Server) -> None:
    server.will(503, {"detail": "The model is loading."}, "5")
    server.will(429, {"message": "Too Many Requests"})
    server.will(200, OK)
    waits = Waits()
    assert api(server, waits.patience()).health() == "ok"
    assert waits.seconds == [5, 1]
    assert waits.told == ["The model is loading. Waiting up to 20 s for it."]


def test_patience_ends_and_is_one_for_all_requests(server: Server) -> None:
    waits = Waits()
    asking = api(server, waits.patience(12))
    for _ in range(4):
        server.will(503, {"detail": "The model is loading."}, "5")
    for waited in ([5, 5], [5, 5]):
        with pytest.raises(ApiRefused, match="The model is loading") as refused:
            asking.health()
        assert (refused.value.status, waits.seconds) == (503, waited)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, {"detail": "There is none."}, "There is none."),
        (504, {"message": "Endpoint request timed out"}, "Endpoint request timed out"),
        (502, b"<html>", "the API answered with status 502"),
        (500, [], "the API answered with status 500"),
        (403, {"message": "Forbidden"}, "the API does not take this key (Forbidden)"),
    ],
)
def test_other_errors_are_told_at_once(server: Server, status: int, body: Any, told: str) -> None:
    server.will(status, body)
    waits = Waits()
    with pytest.raises(ApiRefused) as refused:
        api(server, waits.patience()).health()
    assert str(refused.value).startswith(told)
    assert (refused.value.status, waits.seconds) == (status, [])


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_what_is_no_api_of_facet_s(server: Server, body: bytes) -> None:
    server.will(200, body)
    with pytest.raises(ApiUnreachable, match="is it Facet's"):
        api(server, Patience()).health()
    with pytest.raises(ApiUnreachable, match="something else than a Listed"):
        parsed(Listed, {"name": "cifar"})


def test_all_pages_are_read(server: Server) -> None:
    server.will(200, {"models": [{"name": "a"}, {"name": "b"}], "next": "b"})
    server.will(200, {"models": [{"name": "c"}], "next": None})
    assert [each["name"] for each in api(server, Patience()).models()] == ["a", "b", "c"]
    assert server.asked == ["/v1/models?limit=100", "/v1/models?limit=100&after=b"]


IMAGES = (EncodedImage("a", b"1"), EncodedImage("b", b"2"))
ANSWER = {"version": "v", "predictions": [{"label": "cat", "score": 0.5}]}


@pytest.mark.parametrize("status", [413, 415, 422, 504])
def test_a_batch_that_is_refused_for_one_image_is_sent_one_by_one(
    server: Server, status: int
) -> None:
    server.will(status, {"detail": "Not so."})
    server.will(200, ANSWER)
    server.will(status, {"detail": "Not so."})
    found = answers(api(server, Patience(0)), Question("m", 1), IMAGES)
    assert found == [
        Result("a", "v", (Ranked(label="cat", score=0.5),)),
        Result("b", error="Not so."),
    ]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_is_no_single_image_s_fault_is_told_of_all(server: Server, status: int) -> None:
    server.will(status, {"detail": "Not now."})
    found = answers(api(server, Patience(0)), Question("m", 1), IMAGES)
    assert found == [Result("a", error="Not now."), Result("b", error="Not now.")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_what_no_image_can_mend_ends_it(server: Server, status: int) -> None:
    server.will(status, {"detail": "Never."})
    with pytest.raises(ApiRefused):
        answers(api(server, Patience(0)), Question("m", 1), IMAGES)


def test_names_cannot_leave_their_place_in_the_path(server: Server) -> None:
    server.will(200, {})
    api(server, Patience()).model("../health?x=")
    assert server.asked == ["/v1/models/..%2Fhealth%3Fx%3D"]
