"""A drop's way: checked, copied to its own key, proven, registered; or refused with its reasons.

Every step may run again: what was done already is done over with the same effect, and the drop
leaves the door last.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson
from botocore.exceptions import ClientError

from facet.endpoint import Endpoint
from facet.errors import Violation
from facet.manifest import Manifest
from facet.observability import logger
from facet.registry import Registry, Status, Version
from onboard import archive, checks
from onboard.proof import prove

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, GetObjectRequestTypeDef

VERSION_ID_LENGTH = 12


@dataclass(frozen=True)
class Drop:
    """An upload: the object at `mme/<model>.tar.gz`, and exactly one version of that object.

    Without `object_version` it is the newest one.
    """

    model: str
    object_version: str | None = None

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"mme/{self.model}.tar.gz"


@dataclass(frozen=True)
class Outcome:
    """What became of a drop: `READY`, `REJECTED`, `UNCHANGED` (known already) or `GONE`."""

    model: str
    outcome: str
    version: str | None = None
    violations: tuple[Violation, ...] = ()


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


class Onboarding:
    """Takes drops out of one bucket into one registry, proven on one endpoint."""

    def __init__(
        self,
        s3: "S3Client",
        bucket: str,
        registry: Registry,
        endpoint: Endpoint,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._registry = registry
        self._endpoint = endpoint
        self._clock = clock

    def onboard(self, drop: Drop) -> Outcome:
        """Brings one drop to its outcome.

        Raises what says nothing of the artifact: EndpointThrottled, EndpointUnavailable,
        ModelLoading, RegistryConflict and botocore's errors. The drop then stays where it is.
        """
        opened = self._open(drop)
        if opened is None:
            return Outcome(drop.model, "GONE")
        drop, found, version = opened
        known = self._registry.find(drop.model, version.id)
        if known and known.status is Status.READY:
            self._take_away(drop)
            return Outcome(drop.model, "UNCHANGED", version.id)
        manifest, violations = checks.run(found)
        if manifest is None or violations:
            return self._refuse(drop, version, violations)
        version = replace(version, manifest=manifest)
        self._registry.begin(version)
        self._copy(drop, f"mme/{version.target}")
        return self._prove(drop, version, manifest, found)

    def _open(self, drop: Drop) -> tuple[Drop, archive.Archive, Version] | None:
        """One pass over the object; the drop comes back with its object version pinned."""
        wanted: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": drop.key}
        if drop.object_version:
            wanted["VersionId"] = drop.object_version
        try:
            taken = self._s3.get_object(**wanted)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                return None
            raise
        found = archive.read(taken["Body"])
        version = Version(
            model=drop.model,
            id=found.sha256[:VERSION_ID_LENGTH],
            status=Status.PENDING,
            sha256=found.sha256,
            size=found.size,
            dropped_at=taken["LastModified"].isoformat(),
            updated_at=self._now(),
        )
        return replace(drop, object_version=taken["VersionId"]), found, version

    def _prove(
        self, drop: Drop, version: Version, manifest: Manifest, found: archive.Archive
    ) -> Outcome:
        golden = found.kept[manifest.golden.image] if manifest.golden else None
        proof = prove(self._endpoint, version.target, manifest, golden)
        version = replace(version, proof=proof.kind)
        if proof.violations:
            return self._refuse(drop, version, proof.violations)
        ready = replace(version, status=Status.READY, updated_at=self._now())
        live = self._registry.promote(ready)
        self._take_away(drop)
        logger().info("model ready", model=ready.model, version=ready.id, live=live)
        return Outcome(ready.model, "READY", ready.id)

    def _refuse(self, drop: Drop, version: Version, violations: Sequence[Violation]) -> Outcome:
        rejected = replace(
            version,
            status=Status.REJECTED,
            violations=checks.reported(violations),
            updated_at=self._now(),
        )
        place = f"rejected/{rejected.target}"
        self._copy(drop, place)
        self._s3.put_object(
            Bucket=self._bucket,
            Key=place.removesuffix(".tar.gz") + ".json",
            Body=_report(rejected),
            ContentType="application/json",
        )
        self._registry.reject(rejected)
        if rejected.proof:  # it was copied for the endpoint to try
            self._s3.delete_object(Bucket=self._bucket, Key=f"mme/{rejected.target}")
        self._take_away(drop)
        codes = [each.code for each in violations]
        logger().warning("model rejected", model=drop.model, version=rejected.id, codes=codes)
        return Outcome(drop.model, "REJECTED", rejected.id, rejected.violations)

    def _copy(self, drop: Drop, key: str) -> None:
        source: CopySourceTypeDef = {
            "Bucket": self._bucket,
            "Key": drop.key,
            "VersionId": drop.object_version or "",
        }
        self._s3.copy_object(
            Bucket=self._bucket,
            Key=key,
            CopySource=source,
            TaggingDirective="REPLACE",
        )

    def _take_away(self, drop: Drop) -> None:
        """Removes exactly the object version that was checked; a newer drop stays."""
        self._s3.delete_object(
            Bucket=self._bucket, Key=drop.key, VersionId=drop.object_version or ""
        )

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")


def _report(rejected: Version) -> bytes:
    return orjson.dumps(
        {
            "model": rejected.model,
            "version": rejected.id,
            "sha256": rejected.sha256,
            "size": rejected.size,
            "dropped_at": rejected.dropped_at,
            "rejected_at": rejected.updated_at,
            "violations": [asdict(each) for each in rejected.violations],
        },
        option=orjson.OPT_INDENT_2,
    )
