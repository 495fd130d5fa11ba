"""One run of verify: the stack, what its checks share, and everything it made.

All names of a run begin with `facet-verify-` and its own random id, so that runs do not
disturb each other, and nothing but a run's own names is ever changed or deleted.
"""

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

from botocore.config import Config

from cli.client.api import RETRYABLE, Api
from cli.client.stack import Stack
from cli.verify.artifacts import Sample
from cli.verify.check import OF_AWS, Different, NotTried
from cli.watch import UploadWatcher, WatchTarget, wait_until_settled
from facet.keys import upload_key, version_id
from facet.registry.models import Status, Version
from facet.registry.store import Registry

PREFIX = "facet-verify-"
"""How the names of models and data sets begin that verify makes."""

PATIENCE = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3})
"""For requests to AWS, none of which may hold up a run."""

LOCAL_SECONDS, DEPLOYED_SECONDS = 120.0, 480.0
"""How long an onboarding may take: Lambda repeats an attempt after one and after two minutes."""

LOADING_SECONDS = 120.0
"""How long a prediction may be answered 429 or 503, as while its model is loaded."""

PAUSE = 1.0
"""Seconds between two polls."""

SHOWN = 500
"""Characters of an answer that a report repeats."""

PROBLEM = "urn:facet:problem:"

Found = TypeVar("Found")


@dataclass(frozen=True)
class Reply:
    """An answer of the API as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        """Raises Different if the body is no JSON object, or the status is not 200 or 201."""
        if self.status not in (200, 201):
            raise Different(str(self))
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise Different(str(self)) from error
        if not isinstance(document, dict):
            raise Different(str(self))
        return document

    @property
    def problem(self) -> str:
        """The name of the problem that the answer describes, or empty."""
        try:
            return str(json.loads(self.body)["type"]).removeprefix(PROBLEM)
        except (ValueError, LookupError, TypeError):
            return ""

    def __str__(self) -> str:
        return f"{self.status} {self.body[:SHOWN].decode(errors='replace')}"


class Once:
    """A value that is made when it is first asked for; a failure is remembered, too."""

    def __init__(self, make: Callable[[], Version]) -> None:
        self._make = make
        self._value: Version | None = None
        self._error: Exception | None = None

    def get(self) -> Version:
        """Make it, or raise again what was raised at the first time."""
        if self._error:
            raise self._error
        if self._value is None:
            try:
                self._value = self._make()
            except OF_AWS as error:
                self._error = error
                raise
        return self._value


@dataclass
class Session:
    """`parameters` are the stack's template parameters. `made` names the models, `keys` the
    objects, and `prefixes` the folders in the bucket that the run made.

    `updated` says that the endpoint was moved to another configuration.

    `remark` shows a line beside the report. `patience` is what all waiting is multiplied by.
    `stopped` is set when the run is interrupted; then nothing waits any more.
    """

    stack: Stack
    api: Api
    sample: Sample
    parameters: Mapping[str, str]
    remark: Callable[[str], object] = print
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    started: float = field(default_factory=time.time)
    stopped: threading.Event = field(default_factory=threading.Event)
    made: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    updated: bool = False
    patience: float = 1.0
    _clients: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._first = Once(partial(self._version, 1))
        self._second = Once(partial(self._version, 2))

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.stack.registry())

    def require_endpoint(self) -> None:
        """Raises NotTried if the stack has no endpoint."""
        if not self.stack.endpoint_on:
            raise NotTried("the stack has no endpoint: EndpointOn=false")

    @property
    def local(self) -> bool:
        """Whether the stack runs on this machine."""
        return self.stack.home is not None

    @property
    def model(self) -> str:
        """The name of the model that most checks use."""
        return self.name()

    def name(self, suffix: str = "") -> str:
        """A name of this run."""
        return f"{PREFIX}{self.run}{f'-{suffix}' if suffix else ''}"

    def client(self, service: str) -> Any:
        """A client of the stack's account, one for each service."""
        if service not in self._clients:
            self._clients[service] = self.stack.client(service, PATIENCE)
        return self._clients[service]

    def _version(self, number: int) -> Version:
        """Upload the sample's n-th version, and wait until it is READY. Raises Different."""
        artifact = self.sample.described(f"facet verify {self.run}, version {number}")
        version = self.onboard(self.model, artifact)
        if version.status is not Status.READY:
            raise Different(f"{version.status}: {_reasons(version)}")
        return version

    def first(self) -> Version:
        """The sample's first version. Raises Different."""
        return self._first.get()

    def second(self) -> Version:
        """The sample's second version. Raises Different."""
        return self._second.get()

    def ready(self, which: Callable[[], Version] | None = None) -> Version:
        """The first version, for checks that need one. Raises NotTried if it is not READY."""
        try:
            return (which or self.first)()
        except OF_AWS as error:
            raise NotTried(f"it needs a READY version of the sample: {error}") from error

    def onboard(self, model: str, artifact: bytes) -> Version:
        """Upload an artifact and wait for onboarding's result.

        Raises WatchTimeout, UploadRemoved, and botocore's errors.
        """
        self.made.append(model)
        version = version_id(hashlib.sha256(artifact).hexdigest())
        s3 = self.client("s3")
        s3.put_object(Bucket=self.stack.bucket, Key=upload_key(model), Body=artifact)
        watcher = UploadWatcher(s3, self.stack.bucket, self.registry)
        target = WatchTarget(model, version, uploaded=True)
        return wait_until_settled(
            lambda: watcher.read(target),
            target,
            (LOCAL_SECONDS if self.local else DEPLOYED_SECONDS) * self.patience,
            on_change=lambda _: None,
            sleep=self.pause,
        )

    def pause(self, seconds: float = PAUSE) -> None:
        """Sleep. Raises NotTried if the run is interrupted meanwhile."""
        if self.stopped.wait(seconds * self.patience):
            raise NotTried("it was interrupted")

    def until(
        self, seconds: float, probe: Callable[[], Found | None], every: float = PAUSE
    ) -> Found | None:
        """Poll until `probe` returns something; None after so many seconds without."""
        deadline = time.monotonic() + seconds * self.patience
        while (found := probe()) is None:
            if time.monotonic() > deadline:
                return None
            self.pause(every)
        return found

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: bool = True,
    ) -> Reply:
        """Send a request to the API once, with its key or without. Raises ApiUnreachable."""
        own = {"x-api-key": self.api.key} if key else {}
        url = self.api.url.rstrip("/") + path
        answer = self.api.send(method, url, own | dict(headers or {}), body)
        return Reply(answer.status, answer.headers, answer.data)

    def predict(
        self, body: bytes, content_type: str, query: str = "", path: str = "", **headers: str
    ) -> Reply:
        """Ask the model, and again while it loads, for at most LOADING_SECONDS."""
        target = path or f"/models/{self.model}/predict"
        sent = {"content-type": content_type} | headers

        def answered() -> Reply | None:
            reply = self.send("POST", f"{target}{query}", body, sent)
            return None if reply.status in RETRYABLE else reply

        reply = self.until(LOADING_SECONDS, answered)
        if reply is None:
            raise Different(f"no answer but 429 and 503 for {LOADING_SECONDS:.0f} s")
        return reply


def _reasons(version: Version) -> str:
    return "; ".join(f"{each.place}: {each.problem}" for each in version.violations)
