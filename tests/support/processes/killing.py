"""Processes that end before any of their writes, and what has to hold then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from facet.registry.models import Place, Status, Version
from tests.support.aws import fakes
from tests.support.onboarding import Account, identity

if TYPE_CHECKING:
    from onboard.uploads import Upload

WRITES = {
    "CopyObject",
    "PutObject",
    "DeleteObject",
    "DeleteObjects",
    "PutObjectTagging",
    "UpdateItem",
    "DeleteItem",
    "PutItem",
    "TransactWriteItems",
}


class Killed(BaseException):
    """The process ended."""


@dataclass
class Fuse:
    """Ends the process before its nth write; `writes` has those that it came to."""

    most: int | None = None
    writes: list[str] = field(default_factory=list)

    def before(self, write: str) -> None:
        self.writes.append(write)
        if len(self.writes) == self.most:
            raise Killed

    def __call__(self, model: Any, **_: Any) -> None:
        """As botocore tells it of a call."""
        if model.name in WRITES:
            self.before(model.name)


@dataclass
class Watched:
    """The endpoint, the function, EventBridge and SNS behind a fuse.

    `proven` has the targets that did well, `proven_in_function` the keys of LiteRT models.
    """

    runtime: fakes.Runtime = field(default_factory=fakes.Runtime)
    infer: fakes.Lambda = field(default_factory=fakes.Lambda)
    events: fakes.Events = field(default_factory=fakes.Events)
    topic: fakes.Topic = field(default_factory=fakes.Topic)
    proven: set[str] = field(default_factory=set)
    proven_in_function: set[str] = field(default_factory=set)
    fuse: Fuse = field(default_factory=Fuse)

    def invoke_endpoint(self, **asked: Any) -> dict[str, Any]:
        if self.fuse.writes[-1:] != ["InvokeEndpoint"]:  # a proof invokes several times in a row
            self.fuse.before("InvokeEndpoint")
        if self.runtime.scores == fakes.SCORES and not self.runtime.error:
            self.proven.add(asked["TargetModel"])
        return self.runtime.invoke_endpoint(**asked)

    def invoke(self, **asked: Any) -> dict[str, Any]:
        if self.fuse.writes[-1:] != ["Invoke"]:
            self.fuse.before("Invoke")
        answer = self.infer.invoke(**asked)
        self.proven_in_function.add(self.infer.asked[-1])
        return answer

    def put_events(self, **event: Any) -> dict[str, Any]:
        self.fuse.before("PutEvents")
        return self.events.put_events(**event)

    def publish(self, **event: Any) -> None:
        self.fuse.before("Publish")
        self.topic.publish(**event)

    @property
    def told(self) -> list[tuple[str, dict[str, Any]]]:
        return self.events.told


@dataclass
class House:
    """An account with a fuse, and its uploads."""

    account: Account
    watched: Watched
    uploads: dict[str, list[tuple["Upload", bytes]]] = field(default_factory=dict)

    def put(self, model: str, data: bytes) -> "Upload":
        upload = self.account.put(data, model)
        self.uploads.setdefault(model, []).append((upload, data))
        return upload

    def onboarded(self, model: str, *data: bytes) -> None:
        for each in data:
            assert self.account.process(self.put(model, each)).outcome == "READY"

    @contextmanager
    def fused(self, most: int | None) -> Iterator[Fuse]:
        fuse = self.watched.fuse = Fuse(most)
        clients = [self.account.s3, self.account.table.meta.client]
        for each in clients:
            each.meta.events.register("before-call", fuse)
        try:
            yield fuse
        finally:
            self.watched.fuse = Fuse()
            for each in clients:
                each.meta.events.unregister("before-call", fuse)

    def killed(self, most: int, what: Callable[[], object]) -> bool:
        """Whether the process came to its nth write, and ended there."""
        try:
            with self.fused(most):
                what()
        except Killed:
            return True
        return False

    def assert_sound(self, model: str) -> None:
        """What holds at every moment."""
        account = self.account
        versions = {each.id: each for each in account.registry.versions(model)}
        stored = account.stored(f"mme/{model}/")
        ready = {each.id for each in versions.values() if each.status is Status.READY}
        for each in ready:
            assert f"mme/{versions[each].target}" in stored, "a READY version's object is there"
            self._assert_proven(versions[each])
        assert stored <= {f"mme/{each.target}" for each in versions.values()}, "no strays"
        for each in ready:
            account.assert_litert(versions[each])
        lite = account.stored(f"lite/{model}/")
        assert lite <= {f"lite/{model}/{each}.tflite" for each in versions}, "no strays"
        if versions:
            found = account.registry.model(model)
            assert found.live in ready or (found.live is None and not ready)
            if found.canary:
                assert found.canary.candidate in ready - {found.live}
        for upload, data in self.uploads[model]:
            version = versions.get(identity(data))
            done = version and version.status is not Status.PENDING
            assert done or account.bucket.has_upload(upload), "no upload is lost"

    def _assert_proven(self, version: Version) -> None:
        """A READY version was proven in each place where it may answer, and in one at least."""
        lite = f"lite/{version.model}/{version.id}.tflite"
        proven = {
            Place.ENDPOINT: version.target in self.watched.proven,
            Place.FUNCTION: lite in self.watched.proven_in_function,
        }
        assert version.proven_in
        assert all(proven[each] for each in version.proven_in), "it was proven where it runs"

    def assert_settled(self, model: str) -> None:
        """What holds when all uploads had their outcome."""
        self.assert_sound(model)
        account = self.account
        versions = account.registry.versions(model)
        assert not {each.status for each in versions} & {Status.PENDING}
        for each in versions:
            if each.status is Status.REJECTED:
                assert not account.bucket.has_version(each)
                assert not account.stored(f"lite/{model}/{each.id}.tflite")
                assert f"rejected/{model}/{each.id}.json" in account.stored("rejected/")
        assert not account.stored(f"mme/{model}.tar.gz")
