"""Versions as the registry keeps them, and how tests make them live."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from facet.errors import Violation
from facet.manifest import BackboneManifest, HeadManifest, Manifest
from facet.registry.models import Place, Status, Version
from facet.registry.placement import Placement
from facet.registry.releases import Releases
from facet.registry.store import Registry
from tests.support.inputs import artifacts, heads

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

VIOLATION = Violation("no-manifest", "facet.json", "there is none", "add one")
NOW = "2026-02-01T00:00:00.000+00:00"


def pending(number: int, model: str = "cifar", **manifest: Any) -> Version:
    """A PENDING version; a higher number was uploaded later."""
    return Version(
        model=model,
        id=f"{number:012x}",
        status=Status.PENDING,
        sha256=f"{number:064x}",
        size=100 + number,
        uploaded_at=f"2026-01-01T00:{number // 60:02}:{number % 60:02}+00:00",
        updated_at=f"2026-01-01T01:{number // 60:02}:{number % 60:02}.000+00:00",
        manifest=Manifest.model_validate(artifacts.manifest(**manifest)),
    )


def backbone(number: int, model: str = "mobilenet") -> Version:
    """A PENDING version of a backbone."""
    manifest = BackboneManifest.model_validate(artifacts.backbone())
    return replace(pending(number, model), manifest=manifest)


def head(number: int, on: Version, model: str = "cats") -> Version:
    """A PENDING version of a head on this version of a backbone."""
    named = {"model": on.model, "version": on.id, "width": len(artifacts.FEATURES)}
    manifest = HeadManifest.model_validate(heads.manifest(backbone=named))
    return replace(pending(number, model), manifest=manifest)


def proven(version: Version) -> Version:
    """The same, as it is accepted."""
    return replace(version, status=Status.READY, proof="smoke", proven_in={Place.ENDPOINT: NOW})


def of_target(target: str) -> Version:
    """The PENDING version with that TargetModel."""
    model, _, file = target.partition("/")
    return replace(pending(1, model), id=file.removesuffix(".tar.gz"))


def ready(number: int, model: str = "cifar") -> Version:
    """As `pending` after its proof."""
    return proven(pending(number, model))


def rejected(number: int, model: str = "cifar") -> Version:
    """As `pending` after its refusal."""
    return replace(
        pending(number, model), status=Status.REJECTED, violations=(VIOLATION,), manifest=None
    )


def accept(table: "Table", version: Version) -> Placement:
    """Takes a PENDING version through the registry as onboarding does."""
    Registry(table).begin(version)
    return Releases(table).accept(proven(version))


def make_live(table: "Table", version: Version) -> Version:
    """As `accept`, for a model whose policy is `auto`; the version as the registry has it."""
    assert accept(table, version) is Placement.LIVE
    return proven(version)


class _Overtaken:
    def __init__(self, table: "Table", reads: int, happens: Callable[[], object]) -> None:
        self._table = table
        self._left = reads
        self._happens = happens

    def get_item(self, **request: Any) -> Any:
        return self._after(self._table.get_item(**request))

    def query(self, **request: Any) -> Any:
        return self._after(self._table.query(**request))

    def _after(self, answer: Any) -> Any:
        self._left -= 1
        if self._left == 0:
            self._happens()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def overtaken(table: "Table", reads: int, happens: Callable[[], object]) -> "Table":
    """The table, with another writer who comes right after the first so many reads of it."""
    return cast("Table", _Overtaken(table, reads, happens))
