"""An account that onboards: the bucket, the registry, the endpoint, and what tests ask of them."""

import hashlib
import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from facet.artifact.validation import Rules
from facet.aws.notifications import EventPublisher
from facet.places.endpoint import Endpoint
from facet.places.function import Function
from facet.registry.attempts import Attempts
from facet.registry.deletions import Deletions
from facet.registry.heads.dependents import Dependents
from facet.registry.models import Place, RunIn, Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from onboard.app import parse
from onboard.bucket import Bucket
from onboard.onboarding import Onboarding, utc_now
from onboard.proof.missing import MissingProof
from onboard.proof.places import Places, Reached
from onboard.proof.prover import Prover
from onboard.records import Records
from onboard.removal.deletion import Deletion, ModelObjects
from onboard.removal.retention import Removal
from onboard.retry import RetryPolicy
from onboard.sweep.backfill import MissingFile
from onboard.sweep.sweeper import Ages, Sweeper
from onboard.sweep.swept import Swept
from onboard.uploads import OnboardingResult, PendingUploads, Upload
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET
from tests.support.inputs import artifacts

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

TOPIC = "arn:aws:sns:eu-central-1:123456789012:news"
IMPATIENT = RetryPolicy(left=lambda: 0, attempt=1, apart=0)
"""Tries nothing again."""

AGES = Ages(upload=timedelta(minutes=30), retired=timedelta(hours=1))


def identity(data: bytes) -> str:
    """The version that these bytes become."""
    return hashlib.sha256(data).hexdigest()[:12]


def litert_in(data: bytes) -> bytes | None:
    """The LiteRT model in an artifact."""
    with tarfile.open(fileobj=io.BytesIO(data)) as artifact:
        if artifacts.LITERT not in artifact.getnames():
            return None
        member = artifact.extractfile(artifacts.LITERT)
        return member.read() if member else None


def patient(seconds: float = 900, patience: float = 900) -> tuple[RetryPolicy, list[float]]:
    """A retry for which time passes only in its pauses, and the pauses that it made."""
    pauses: list[float] = []
    return RetryPolicy(lambda: seconds - sum(pauses), 65, pauses.append, patience), pauses


@dataclass
class Account:
    """`events` and `topic` have what was published, `runtime` the invocations of the endpoint.

    `infer` is Lambda's client; without it, there is no function.
    """

    s3: "S3Client"
    table: "Table"
    runtime: Any = field(default_factory=fakes.Runtime)
    events: Any = field(default_factory=fakes.Events)
    topic: Any = field(default_factory=fakes.Topic)
    rules: Rules = field(default_factory=Rules)
    keep: int = 5
    within: float = 10
    clock: Callable[[], float] = lambda: 0
    now: Callable[[], str] = utc_now
    infer: Any = None
    run_in: RunIn = RunIn.ENDPOINT
    sequence: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def registry(self) -> Registry:
        return Registry(self.table)

    @property
    def releases(self) -> Releases:
        return Releases(self.table)

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.s3, BUCKET)

    @property
    def publisher(self) -> EventPublisher:
        return EventPublisher(self.events, self.topic, TOPIC)

    @property
    def onboarding(self) -> Onboarding:
        records = Records(
            self.registry,
            self.releases,
            Dependents(self.table),
            self.publisher,
            Attempts(self.table),
        )
        provers = {
            Place.ENDPOINT: Prover(Endpoint(self.runtime, "endpoint"), self.within, self.clock)
        }
        if self.infer:
            function = Function(self.infer, "infer", 25)
            provers[Place.FUNCTION] = Prover(function, self.within, self.clock, Place.FUNCTION)
        places = Places(provers, self.run_in, self.now)
        return Onboarding(self.bucket, records, places, self.rules, self.keep, self.now)

    @property
    def deletion(self) -> Deletion:
        objects = ModelObjects(self.s3, BUCKET)
        deletions = Deletions(self.table)
        return Deletion(objects, self.registry, deletions, self.publisher, patient()[0])

    def put(self, data: bytes, model: str = "cifar") -> Upload:
        """An upload whose event is still to come."""
        answer = self.s3.put_object(Bucket=BUCKET, Key=f"mme/{model}.tar.gz", Body=data)
        return Upload(model, answer["VersionId"], f"{next(self.sequence):016X}")

    def process(self, upload: Upload, retry: RetryPolicy = IMPATIENT) -> OnboardingResult:
        """The event of an upload."""
        return self.onboarding.onboard(upload, retry)

    def onboard(self, data: bytes, model: str = "cifar") -> str:
        """An upload and its event."""
        return self.process(self.put(data, model)).outcome

    def send(
        self, event: dict[str, Any], retry: RetryPolicy | None = None
    ) -> list[OnboardingResult]:
        """What the handler does with an event, with retry and this account's collaborators."""
        retry = retry or patient()[0]
        outcomes: list[OnboardingResult] = []
        reached = Reached()
        for each in parse(event):
            if isinstance(each, Removal):
                if outcome := self.onboarding.withdraw(each, retry):
                    outcomes.append(outcome)
            elif isinstance(each, MissingFile):
                if outcome := self.onboarding.complete(each):
                    outcomes.append(outcome)
            elif isinstance(each, MissingProof):
                if outcome := self.onboarding.prove(each, retry, reached):
                    outcomes.append(outcome)
            else:
                outcomes.append(self.onboarding.onboard(each, retry))
        return outcomes

    def sweep(self, later: timedelta = timedelta(minutes=31)) -> Swept:
        """One run of the sweeper after that time; onboarding gets its events at once."""
        return self.sweeper(self.send).sweep(datetime.now(UTC) + later)

    def sweeper(self, resubmit: Callable[[dict[str, Any]], object]) -> Sweeper:
        """The sweeper, which hands events over so."""
        uploads = PendingUploads(self.s3, BUCKET)
        return Sweeper(uploads, self.bucket, self.registry, self.publisher, resubmit, AGES)

    def stored(self, prefix: str = "") -> set[str]:
        """The keys of all objects."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return {each["Key"] for each in listed.get("Contents", [])}

    def content(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def delete(self, data: bytes, model: str = "cifar") -> Removal:
        """Somebody deletes a version's object; the event that says so."""
        version = identity(data)
        self.s3.delete_object(Bucket=BUCKET, Key=f"mme/{model}/{version}.tar.gz")
        return Removal(model, version, datetime.now(UTC))

    def report(self, data: bytes, model: str = "cifar") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content(f"rejected/{model}/{identity(data)}.json"))
        return found

    def status(self, data: bytes, model: str = "cifar") -> Status | None:
        version = self.registry.find(model, identity(data))
        return version.status if version else None

    def published(self) -> list[tuple[str, str]]:
        """Type and version of each published event."""
        return [(kind, detail["version"]) for kind, detail in self.events.told]

    def assert_ready(self, data: bytes, model: str = "cifar") -> Version:
        version = self.registry.ready(model, identity(data))
        assert version.sha256 == hashlib.sha256(data).hexdigest()
        assert self.content(f"mme/{version.target}") == data
        assert f"mme/{model}.tar.gz" not in self.stored()
        return version

    def assert_litert(self, version: Version) -> None:
        """The LiteRT model of the artifact is kept, if it has one, and is the recorded one."""
        key = f"lite/{version.model}/{version.id}.tflite"
        model = litert_in(self.content(f"mme/{version.target}"))
        if model is None:
            assert (version.litert_size, version.litert_sha256) == (0, None)
            assert key not in self.stored()
        else:
            digest = hashlib.sha256(model).hexdigest()
            assert (version.litert_size, version.litert_sha256) == (len(model), digest)
            assert self.content(key) == model

    def assert_live(self, data: bytes, model: str = "cifar") -> None:
        self.assert_ready(data, model)
        assert self.registry.live(model).id == identity(data)

    def assert_rejected(self, data: bytes) -> list[str]:
        """The codes of its violations."""
        version = self.registry.find("cifar", identity(data))
        assert version
        assert version.status is Status.REJECTED
        assert self.content(f"rejected/cifar/{version.id}.tar.gz") == data
        assert self.report(data)["violations"] == [vars(each) for each in version.violations]
        assert not self.stored() & {"mme/cifar.tar.gz", f"mme/{version.target}"}
        return [each.code for each in version.violations]
