"""What the registry must have for an upload of its kind: a model of that kind."""

from collections.abc import Iterator

from facet.errors import UnknownModel, Violation
from facet.keys import MANIFEST
from facet.registry.models import Version
from facet.registry.store import Registry


class Kinds:
    """Compares uploads with the registry. Raises botocore's errors."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def violations(self, version: Version) -> Iterator[Violation]:
        """Why a version with this manifest can be none of its model."""
        yield from self._of_other_kind(version)

    def _of_other_kind(self, version: Version) -> Iterator[Violation]:
        """A model's clients could not use a version of another."""
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
