"""Fakes of AWS clients, and of SageMaker's runtime over HTTP for code that makes its own client."""

import io
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.exceptions import ClientError

from tests.support.processes.listening import listening

SCORES = (0.7, 0.2, 0.1)
"""The scores that a model with artifacts.LABELS answers for any image."""

BUCKET = "facet-models"


@dataclass
class Context:
    """Lambda's context with `seconds` of remaining time; 0 allows no retry."""

    seconds: float = 0
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Events:
    """EventBridge's client: `told` records type and detail of each event; `error` fails them."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: str | None = None

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if self.error:
            refused = {"ErrorCode": self.error, "ErrorMessage": "not now"}
            return {"FailedEntryCount": 1, "Entries": [refused]}
        for each in Entries:
            assert each["Source"] == "facet"
            self.told.append((each["DetailType"], json.loads(each["Detail"])))
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


@dataclass
class Topic:
    """SNS's client: `published` records subject and message."""

    published: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, *, TopicArn: str, Subject: str, Message: str) -> None:  # noqa: N803
        assert TopicArn.startswith("arn:")
        self.published.append((Subject, Message))


def refusal(code: str, **members: Any) -> ClientError:
    """The error that botocore raises when SageMaker refuses an invocation."""
    return ClientError({"Error": {"Code": code}, **members}, "InvokeEndpoint")  # type: ignore[typeddict-item]


@dataclass
class Runtime:
    """SageMaker's runtime client: answers `scores` for each image, or raises `error`.

    It answers `maps` where that signature is asked for.

    `rows` makes the answer from the number of the invocation and of its images instead; `images`
    records the latter. `meanwhile` is called once, during the next invocation.
    """

    scores: tuple[float, ...] = SCORES
    maps: tuple[float, ...] = ()
    rows: Callable[[int, int], list[tuple[float, ...]]] | None = None
    error: Exception | None = None
    meanwhile: Callable[[], object] | None = None
    asked: list[str] = field(default_factory=list)
    images: list[int] = field(default_factory=list)

    def invoke_endpoint(self, *, TargetModel: str, Body: bytes, **_: str) -> dict[str, Any]:  # noqa: N803
        self.asked.append(TargetModel)
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            meanwhile()
        if self.error:
            raise self.error
        request = json.loads(Body)
        count = len(request["instances"])
        row = self.maps if request["signature_name"] == "maps" else self.scores
        rows = self.rows(len(self.images), count) if self.rows else [row] * count
        self.images.append(count)
        return {"Body": io.BytesIO(json.dumps({"predictions": rows}).encode())}


@dataclass
class Lambda:
    """Lambda's client, of InferFunction: answers `scores` for each image, or raises `error`.

    It answers `maps` where that signature is asked for.

    `answer` is the function's whole answer instead. `asked` records the keys.
    """

    scores: tuple[float, ...] = SCORES
    maps: tuple[float, ...] = ()
    error: Exception | None = None
    answer: dict[str, Any] | None = None
    asked: list[str] = field(default_factory=list)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "infer"
        request = json.loads(Payload)
        self.asked.append(request["key"])
        if self.error:
            raise self.error
        asked = request["request"]
        row = self.maps if asked["signature_name"] == "maps" else self.scores
        rows = [row] * len(asked["instances"])
        answer = self.answer or {"status": 200, "response": {"predictions": rows}}
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


@dataclass
class Answer:
    """One answer of the HTTP endpoint: `body`, or `scores` for each image, which those of the
    request's signature in `signatures` replace.

    `code` is the error's name, `seconds` the delay; `hangs_up` closes the connection unanswered.
    """

    status: int = 200
    code: str | None = None
    body: bytes | None = None
    scores: tuple[float, ...] = SCORES
    signatures: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    seconds: float = 0
    hangs_up: bool = False


class SageMaker(ThreadingHTTPServer):
    """`POST /endpoints/{name}/invocations` on a free port; `asked` records target and body.

    Invoked as Lambda's `infer` it answers in that function's form.

    `attributes` records the custom attributes. `answers` overrides `answer` by target.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Invocation)
        self.answer = Answer()
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.attributes: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Invocation(BaseHTTPRequestHandler):
    server: SageMaker

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        target = self.headers["X-Amzn-SageMaker-Target-Model"]
        self.server.asked.append((target, body))
        self.server.attributes.append(self.headers["X-Amzn-SageMaker-Custom-Attributes"])
        answer = self.server.answers.get(target, self.server.answer)
        time.sleep(answer.seconds)
        if answer.hangs_up:
            self.close_connection = True
            return
        request = body.get("request", body)
        count = len(request.get("instances", ()))  # the event of a teaching has none
        row = answer.signatures.get(request.get("signature_name"), answer.scores)
        predictions: dict[str, Any] = {"predictions": [row] * count}
        if request is not body:
            predictions = {"status": 200, "response": predictions}
        content = json.dumps(predictions).encode() if answer.body is None else answer.body
        self.send_response(answer.status)
        if answer.code:
            self.send_header("x-amzn-ErrorType", answer.code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Print nothing: pytest's output is for failures."""


def sagemaker() -> AbstractContextManager[SageMaker]:
    """A running SageMaker fake."""
    return listening(SageMaker())
