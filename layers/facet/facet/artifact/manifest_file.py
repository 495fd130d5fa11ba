"""The manifest of an artifact that was read: one reader for onboarding and for training's gate."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from facet.artifact import layout
from facet.artifact.archive import MAX_MANIFEST, Archive
from facet.errors import Violation
from facet.keys import MANIFEST
from facet.manifest import AnyManifest, kind_of, parse
from facet.specs import FeatureSpec, GoldenFeatures, GoldenSample, InputSpec, MapSpec, OutputSpec

UNREADABLE = {"not-gzip", "not-tar", "truncated", "damaged"}
"""Violations of the archive after which nothing that was read can be trusted."""

MAX_METRICS = 16_000
"""Bytes of the metrics, which the API answers for each version of a model."""

SHAPE = ("encoding", "height", "width", "channels", "layout")

MAX_FIELDS = 100
"""Violations of a manifest's fields that are listed; a report shows fewer."""


@dataclass(frozen=True)
class Parts:
    """The fields that the other checks need, of a manifest that may be invalid elsewhere.

    None stands for a field that is invalid. `spec` has only what the tensor's shape depends on,
    `labels` is their number, `features` a backbone's, of which `maps` describes the maps, and
    `golden` the name of the image.
    """

    kind: str = "classifier"
    signature: str | None = None
    tensor: str | None = None
    encoding: str | None = None
    spec: InputSpec | None = None
    output: str | None = None
    binary: bool | None = None
    labels: int | None = None
    features: int | None = None
    maps: MapSpec | None = None
    golden: str | None = None
    lacks_golden: bool = False

    @property
    def width(self) -> int | None:
        """How many scores or features the model gives for one image."""
        if self.features is not None or self.binary is None:
            return self.features
        return 1 if self.binary else self.labels

    @property
    def of_maps(self) -> "Parts | None":
        """Those of the signature of a backbone's maps, whose values are its features."""
        maps = self.maps
        if maps is None:
            return None
        features = self.features
        if features is not None:
            features = features // (maps.rows * maps.columns) * maps.height * maps.width
        return replace(
            self, signature=maps.signature, output=maps.tensor, features=features, maps=None
        )


@dataclass(frozen=True)
class ManifestFile:
    """The manifest, or None and the violations that say why there is none."""

    manifest: AnyManifest | None
    violations: list[Violation]
    parts: Parts = Parts()


def read(archive: Archive) -> ManifestFile:
    """Reads the manifest of an archive.

    There are no violations if the archive was not read to its end, or if the manifest is inside
    the wrapper folder that `layout.check` reports.
    """
    if unreadable := [each for each in archive.violations if each.code in UNREADABLE]:
        return ManifestFile(None, unreadable)
    if MANIFEST in archive.kept:
        return _parsed(archive.kept[MANIFEST].removeprefix(BOM_UTF8))
    if archive.files.get(MANIFEST, 0) > MAX_MANIFEST:
        return ManifestFile(None, [_long(MANIFEST, archive.files[MANIFEST], MAX_MANIFEST)])
    lacks = archive.complete and not layout.has_manifest(archive.files)
    return ManifestFile(None, [NO_MANIFEST] if lacks else [])


def _parsed(content: bytes) -> ManifestFile:
    try:
        manifest = parse(content)
    except ValidationError as error:
        wrong = [
            Violation(
                "manifest-field",
                ".".join([MANIFEST, *map(str, each["loc"][1:])]),  # without the kind
                each["msg"].removeprefix("Value error, "),
                "see docs/manifest.md for what the field takes",
            )
            for each in error.errors(include_url=False, include_input=False)[:MAX_FIELDS]
        ]
        return ManifestFile(None, wrong, _parts(_document(content)))
    violations = list(_sizes(manifest))
    parts = _parts(manifest.model_dump(by_alias=True))
    return ManifestFile(None if violations else manifest, violations, parts)


def _sizes(manifest: AnyManifest) -> Iterator[Violation]:
    """A number such as 1e15 has more digits when it is written again."""
    metrics = len(orjson.dumps(manifest.metrics))
    if metrics > MAX_METRICS:
        yield _long(f"{MANIFEST}.metrics", metrics, MAX_METRICS)
    stored = len(manifest.model_dump_json(by_alias=True, exclude_none=True).encode())
    if stored > MAX_MANIFEST:
        yield _long(MANIFEST, stored, MAX_MANIFEST)


def _long(place: str, size: int, most: int) -> Violation:
    return Violation(
        "manifest-too-large",
        place,
        f"it has {size:,} bytes, or needs them to be stored; the limit is {most:,}",
        "shorten labels, description, metrics or provenance",
    )


def _document(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _parts(document: object) -> Parts:
    if not isinstance(document, dict):
        return Parts()
    kind = kind_of(document)
    backbone = kind == "backbone"
    given = _valid(InputSpec, document.get("input"))
    output = _valid(FeatureSpec if backbone else OutputSpec, document.get("output"))
    golden = _valid(GoldenFeatures if backbone else GoldenSample, document.get("golden"))
    labels = document.get("labels")
    shape = {name: given[name] for name in SHAPE if name in given}
    return Parts(
        kind=kind,
        signature=given.get("signature"),
        tensor=given.get("tensor"),
        encoding=given.get("encoding"),
        spec=InputSpec(tensor="any", **shape) if len(shape) == len(SHAPE) else None,
        output=output.get("tensor"),
        binary=output.get("binary"),
        labels=len(labels) if isinstance(labels, list | tuple) and labels else None,
        features=output.get("width"),
        maps=output.get("maps"),
        golden=golden.get("image"),
        lacks_golden=document.get("golden") is None,
    )


def _valid(model: type[BaseModel], document: object) -> dict[str, Any]:
    """The fields of a part of the manifest that are valid by themselves, or have a default."""
    found: dict[str, Any] = {}
    if not isinstance(document, dict):
        return found
    for name, field in model.model_fields.items():
        adapter: TypeAdapter[Any] = TypeAdapter(
            Annotated[field.annotation, Field(), *field.metadata]
        )
        try:
            found[name] = adapter.validate_python(document.get(name, field.get_default()))
        except ValidationError:
            continue
    return found


NO_MANIFEST = Violation(
    "no-manifest",
    MANIFEST,
    "there is no facet.json at the top of the artifact",
    "add one as docs/manifest.md describes, or let `facet pack` write it",
)
