"""The artifact of a head."""

import io

from facet.artifact import archive
from facet.heads import weights
from facet.heads.artifact import pack
from facet.manifest import HeadManifest, parse
from tests.support.inputs import artifacts, heads


def test_it_has_the_manifest_the_weights_and_the_golden_image_and_equal_bytes() -> None:
    manifest = HeadManifest.model_validate(heads.manifest(description="taught"))
    packed = pack(manifest, heads.head(), artifacts.encoded())
    assert pack(manifest, heads.head(), artifacts.encoded()) == packed
    assert pack(manifest, heads.head(seed=1), artifacts.encoded()) != packed
    found = archive.read(io.BytesIO(packed))
    assert [*found.files] == ["facet.json", "head.npz", "golden.png"]
    assert parse(found.kept["facet.json"]) == manifest
    assert found.head
    read = weights.read(bytes(found.head.content), labels=3, width=4)
    assert (read.kernel == heads.head().kernel).all()
