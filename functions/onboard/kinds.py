"""What the registry must have for an upload of its kind: a model of that kind and, for a head, its
backbone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from facet.artifact.archive import SpooledFile
from facet.errors import EndpointUnavailable, UnknownModel, Violation
from facet.heads import artifact
from facet.heads.weights import Head
from facet.keys import MANIFEST
from facet.manifest import BackboneManifest, HeadManifest
from facet.registry.models import RunIn, Status, Version
from facet.registry.store import Registry
from facet.specs import InputSpec
from onboard.bucket import Bucket
from onboard.uploads import Upload

PLACE = f"{MANIFEST}.backbone"


class BackboneNotReady(EndpointUnavailable):
    """The backbone of a head is being onboarded at the same time, or was taken out of service."""


class OnBackbone(NamedTuple):
    """A head, the READY version of a backbone on which it runs, and its model's `run_in`."""

    backbone: Version
    head: Head
    run_in: RunIn | None = None


class Kinds:
    """Compares uploads with the registry. Raises botocore's errors."""

    def __init__(self, registry: Registry, bucket: Bucket) -> None:
        self._registry = registry
        self._bucket = bucket

    def violations(self, version: Version) -> Iterator[Violation]:
        """Why a version with this manifest can be none of its model."""
        yield from self._of_other_kind(version)
        if isinstance(version.manifest, HeadManifest):
            yield from self._of_backbone(version.manifest)

    def backbone(self, manifest: HeadManifest) -> Version:
        """The READY version on which the head was taught. Raises BackboneNotReady."""
        named = manifest.backbone
        found = self._registry.find(named.model, named.version)
        if found is None or found.status is not Status.READY:
            state = found.status if found else "not registered yet"
            raise BackboneNotReady(
                f"Version {named.version} of the backbone '{named.model}' is {state}."
            )
        return found

    def network(self, version: Version) -> Version | None:
        """What a place is asked for a version: itself, or a head's backbone; None if it is gone."""
        if not isinstance(version.manifest, HeadManifest):
            return version
        named = version.manifest.backbone
        return self._registry.find(named.model, named.version)

    def on_backbone(self, manifest: HeadManifest, file: SpooledFile) -> OnBackbone:
        """The head in a file that validation has read. Raises BackboneNotReady."""
        backbone = self.backbone(manifest)
        try:
            run_in = self._registry.model(backbone.model).run_in
        except UnknownModel as error:
            raise BackboneNotReady(f"The backbone '{backbone.model}' is being deleted.") from error
        head = artifact.of_manifest(bytes(file.content), manifest)
        return OnBackbone(backbone, head, run_in)

    def _of_other_kind(self, version: Version) -> Iterator[Violation]:
        """A model's clients, and the heads on a backbone, could not use a version of another."""
        try:
            model = self._registry.model(version.model)
        except UnknownModel:
            return
        if version.manifest is not None and not model.takes(version):
            yield Violation(
                "other-kind",
                f"{MANIFEST}.kind",
                f"'{model.name}' is a {model.kind}; the artifact is a {version.kind}",
                f"upload it under another name, or delete the model first: "
                f"facet delete {model.name}",
            )

    def _of_backbone(self, head: HeadManifest) -> Iterator[Violation]:
        """None while the backbone is being onboarded: `backbone` then raises."""
        named = head.backbone
        found = self._registry.find(named.model, named.version)
        if found is None:
            if self._bucket.has_upload(Upload(named.model)):
                return
            found = self._registry.find(named.model, named.version)  # onboarded in between
        if found is None or found.status not in (Status.READY, Status.PENDING):
            state = f"is {found.status}" if found else "does not exist"
            yield Violation(
                "head-backbone",
                PLACE,
                f"version {named.version} of '{named.model}' {state}",
                f"upload that backbone again, or teach the head on a READY version: "
                f"facet show {named.model}",
            )
        elif not isinstance(found.manifest, BackboneManifest):
            yield Violation(
                "head-backbone",
                PLACE,
                f"'{named.model}' is a {found.kind}, which computes no features",
                "teach the head on a backbone; facet models shows the kind of each",
            )
        else:
            yield from _fits(head, found.manifest)


def _fits(head: HeadManifest, backbone: BackboneManifest) -> Iterator[Violation]:
    if head.backbone.width != backbone.width:
        yield Violation(
            "head-shape",
            f"{PLACE}.width",
            f"the head is for {head.backbone.width:,} features; '{head.backbone.model}' has "
            f"{backbone.width:,}",
            "teach the head on the backbone that it names",
        )
    differ = [
        f"{name} ({ours}, the backbone's is {theirs})"
        for name in InputSpec.model_fields
        if (ours := getattr(head.input, name)) != (theirs := getattr(backbone.input, name))
    ]
    if differ:
        yield Violation(
            "head-input",
            f"{MANIFEST}.input",
            f"it differs from the backbone's in {', '.join(differ)}",
            "copy the input of the backbone's manifest",
        )
