"""A server with the real page and invented models, under a stage's path as on API Gateway.

The predict function's own code makes the responses, so they are the API's.
"""

import base64
import json
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from facet.errors import FacetError, NotAllowed, UnknownModel
from facet.http import problems
from facet.places.choice import Choice
from facet.registry.models import Model, RunIn, Version
from local.gateway.refusals import Refusal
from page import app as page
from predict.http import responses
from tests.browser.data_sets import DataSets
from tests.support.aws import fakes
from tests.support.inputs.artifacts import encoded
from tests.support.processes.listening import listening

STAGE = "/v1"
KEY = "the-key-of-the-usage-plan"
REQUEST_ID = "7f1c0b7e-3d0b-4c58-9a55-2f0d6a1b9c3e"
CHOICE = Choice(RunIn.AUTO)
PREDICTIONS = (("cat", 0.93), ("dog", 0.05), ("a " + "very " * 12 + "long label", 0.0002))


@dataclass(frozen=True)
class Reply:
    """An HTTP response."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def problem(error: FacetError) -> Reply:
    """Returns the API's response to the error."""
    made = responses.problem(problems.problem_of(error), str(error), REQUEST_ID, error)
    headers = {"Content-Type": str(made.content_type)} | {
        name: str(value) for name, value in made.headers.items()
    }
    return Reply(made.status_code, str(made.body).encode(), headers)


def refusal(kind: Refusal) -> Reply:
    """Returns API Gateway's own response."""
    made = kind.response()
    return Reply(made.status_code, made.get_data(), dict(made.headers))


def answer(
    model: str,
    version: str,
    invoke: float = 20.0,
    ranked: tuple[tuple[str, float], ...] = (),
    place: str = "endpoint",
) -> Reply:
    """Returns a prediction whose invocation took `invoke` milliseconds."""
    predictions = [{"label": label, "score": score} for label, score in ranked or PREDICTIONS]
    document = {"model": model, "version": version, "predictions": predictions}
    timing = f"registry;dur=2.00, decode;dur=3.00, preprocess;dur=1.00, invoke;dur={invoke:.2f}"
    headers = {
        "Server-Timing": f'{timing};desc="{place}"',
        "X-Model-Version": version,
        responses.RAN_IN: place,
    }
    return _json(document, headers)


def _json(document: object, headers: dict[str, str] | None = None) -> Reply:
    content = json.dumps(document).encode()
    return Reply(200, content, {"Content-Type": "application/json"} | (headers or {}))


class Site(ThreadingHTTPServer):
    """Serves `models` under STAGE. The next predictions get `replies`, later ones PREDICTIONS.

    `explains` has the explanations of models that give some; `heads` depend on each model.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.models: dict[str, tuple[Model, list[Version]]] = {}
        self.replies: deque[Reply] = deque()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.may_delete = True
        self.heads = 0
        self.data_sets = DataSets()
        self.explains: dict[str, dict[str, str]] = {}

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.server_port}{STAGE}/"

    def add(self, model: Model, *versions: Version) -> None:
        """Adds a model with these versions, the newest first."""
        self.models[model.name] = (model, list(versions))

    def clear(self) -> None:
        """Removes all models, replies and requests; the key may delete."""
        self.may_delete = True
        self.heads = 0
        self.data_sets = DataSets()
        self.explains.clear()
        self.models.clear()
        self.replies.clear()
        self.requests.clear()

    def listed(self, limit: int, after: str, contains: str) -> Reply:
        """Responds to GET /models."""
        names = sorted(name for name in self.models if name > after and contains in name)
        following = names[limit - 1] if len(names) > limit else None
        shown = [responses.listed_model(self.models[name][0]) for name in names[:limit]]
        return _json({"models": shown, "next": following})

    def deleted(self, name: str, *, dry_run: bool) -> Reply:
        """Responds to DELETE /models/{name}."""
        if not self.may_delete:
            return problem(NotAllowed("The API key a1b2c3 may not delete models."))
        _, versions = self.models[name] if dry_run else self.models.pop(name)
        ids = [each.id for each in versions]
        planned = {"model": name, "versions": ids, "uploads": 2, "heads": self.heads}
        return _json(planned | {"deleted": not dry_run})

    def described(self, name: str) -> Reply:
        """Responds to GET /models/{name}."""
        model, versions = self.models[name]
        return _json(responses.model_body(model, versions, CHOICE, explains=name in self.explains))

    def explained(self, name: str) -> Reply:
        """Responds to POST /models/{name}/predict?explain=true."""
        if self.replies:
            return self.replies.popleft()
        document = json.loads(answer(name, str(self.models[name][0].live)).body)
        return _json(document | {"explanation": self.explains[name]})

    def predicted(self, name: str, images: int | None) -> Reply:
        """Responds to POST /models/{name}/predict with one image, or with several in JSON."""
        if self.replies:
            return self.replies.popleft()
        one = answer(name, str(self.models[name][0].live))
        if images is None:
            return one
        document = json.loads(one.body)
        results = [{"predictions": document.pop("predictions")}] * images
        return _json(document | {"results": results})


class _Request(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        match unquote(address.path).removeprefix(STAGE).split("/"):
            case [""] | ["", ""]:
                self._reply(self._page("/"))
            case ["", "docs" | "openapi.json" as page]:
                self._reply(self._page(f"/{page}"))
            case ["", "page", *parts]:
                self._reply(self._page("/page/{file+}", "/".join(parts)))
            case ["", "health"]:
                self._reply(_json({"status": "ok"}))
            case _ if self.headers["x-api-key"] != KEY:
                self._reply(refusal(Refusal.FORBIDDEN))
            case _ if self._handled_by_data_sets(b""):
                pass
            case ["", "models"]:
                self._reply(self._listed(query))
            case ["", "models", name] if name not in self.server.models:
                self._reply(problem(UnknownModel(name)))
            case ["", "models", name]:
                self._reply(self.server.described(name))
            case ["", "models", _, "golden"]:
                self._reply(Reply(200, encoded(), {"Content-Type": "image/png"}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == f"{STAGE}/bucket":
            status = self.server.data_sets.upload(self.headers["content-type"], body)
            self._reply(Reply(status, b""))
            return
        if self.headers["x-api-key"] != KEY:
            self._reply(refusal(Refusal.FORBIDDEN))
            return
        if self._handled_by_data_sets(body):
            return
        self.server.requests.append((self.path, dict(self.headers), body))
        name = urlsplit(self.path).path.removeprefix(f"{STAGE}/models/").partition("/")[0]
        if "explain=true" in self.path:
            self._reply(self.server.explained(name))
            return
        many = self.headers["content-type"] == "application/json"
        self._reply(self.server.predicted(name, len(json.loads(body)["images"]) if many else None))

    def do_PATCH(self) -> None:
        self._handled_by_data_sets(self.rfile.read(int(self.headers["Content-Length"])))

    def do_DELETE(self) -> None:
        if self._handled_by_data_sets(self.rfile.read(int(self.headers["Content-Length"] or 0))):
            return
        address = urlsplit(self.path)
        name = address.path.removeprefix(f"{STAGE}/models/")
        self.server.requests.append((self.path, dict(self.headers), b""))
        self._reply(self.server.deleted(name, dry_run=address.query == "dry_run=true"))

    def _handled_by_data_sets(self, body: bytes) -> bool:
        path = self.path.removeprefix(STAGE)
        found = self.server.data_sets.handle(self.command, path, body, f"{self.server.url}bucket")
        match found:
            case None:
                return False
            case 404, _:
                self._reply(problem(UnknownModel(path.split("/")[2])))
            case status, bytes(content):
                self._reply(Reply(status, content, {"Content-Type": "image/png"}))
            case status, document:
                self._reply(replace(_json(document), status=status))
        return True

    def _listed(self, query: dict[str, str]) -> Reply:
        return self.server.listed(
            int(query["limit"]), query.get("after", ""), query.get("contains", "")
        )

    def _page(self, resource: str, name: str | None = None) -> Reply:
        event: dict[str, Any] = {
            "resource": resource,
            "headers": dict(self.headers),
            "pathParameters": {"file": name} if name else None,
            "requestContext": {"path": urlsplit(self.path).path, "requestId": REQUEST_ID},
        }
        made = page.handler(event, fakes.Context())  # type: ignore[arg-type]
        content = made["body"].encode()
        if made.get("isBase64Encoded"):
            content = base64.b64decode(content)
        return Reply(made["statusCode"], content, made["headers"])

    def _reply(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for failures."""


def serving() -> AbstractContextManager[Site]:
    """Runs a site on a free port."""
    return listening(Site())
