"""An upload after validation: the version that it becomes, and what is kept beside its artifact."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from facet.artifact import validation
from facet.artifact.archive import Archive, SpooledFile
from facet.errors import Violation
from facet.keys import IMAGE_FORMATS, head_key, lite_key, version_id
from facet.manifest import HeadManifest
from facet.registry.models import Status, Version
from onboard.uploads import Upload, invalid_name


@dataclass(frozen=True)
class Extracts:
    """What is kept of an artifact beside it: the golden sample's image, and the LiteRT model or the
    weights of a head.
    """

    golden: bytes | None = None
    litert: SpooledFile | None = None
    head: SpooledFile | None = None

    def files(self, version: Version) -> Iterator[tuple[str, SpooledFile]]:
        """The files, each with its key for this version."""
        if self.litert:
            yield lite_key(version.model, version.id), self.litert
        if self.head:
            yield head_key(version.model, version.id), self.head

    @property
    def golden_type(self) -> str:
        """The media type of the image, which validation has decoded."""
        with Image.open(io.BytesIO(self.golden or b""), formats=IMAGE_FORMATS) as file:
            return file.get_format_mimetype() or "application/octet-stream"

    def close(self) -> None:
        """Frees the disk space of the files."""
        for each in (self.litert, self.head):
            if each:
                each.close()


@dataclass(frozen=True)
class ValidatedUpload:
    """An upload, its object version pinned, and its PENDING version. With violations there are no
    extracts.
    """

    upload: Upload
    version: Version
    violations: Sequence[Violation]
    extracts: Extracts = Extracts()

    @classmethod
    def of(
        cls, upload: Upload, uploaded_at: str, archive: Archive, rules: validation.Rules
    ) -> "ValidatedUpload":
        """Validates what was read of the upload."""
        manifest, violations = validation.run(archive, rules)
        if upload.misnamed:
            violations = [invalid_name(upload.misnamed), *violations]
        version = replace(
            pending_version(upload, archive.sha256, archive.size, uploaded_at), manifest=manifest
        )
        if manifest is None or violations:
            return cls(upload, version, violations)
        golden, litert = manifest.golden, archive.litert_model
        head = archive.head if isinstance(manifest, HeadManifest) else None
        version = replace(
            version,
            litert_size=litert.size if litert else 0,
            litert_sha256=litert.sha256 if litert else None,
            head_sha256=head.sha256 if head else None,
        )
        image = archive.kept[golden.image] if golden else None
        return cls(upload, version, violations, Extracts(image, litert, head))


def pending_version(upload: Upload, sha256: str, size: int, uploaded_at: str) -> Version:
    """The version that an upload of these bytes begins as."""
    return Version(
        model=upload.model,
        id=version_id(sha256),
        status=Status.PENDING,
        sha256=sha256,
        size=size,
        uploaded_at=uploaded_at,
        object_version=upload.object_version,
        sequencer=upload.sequencer,
    )
