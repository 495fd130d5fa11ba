"""What verify uploads: versions of a sample model, an artifact to reject, images to train on."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from cli.extras import ROOT
from facet.keys import MANIFEST
from facet.manifest import Manifest
from facet.specs import GoldenSample

SAMPLE = ROOT / "samples/sign-language.tar.gz"
"""The smaller sample: a SavedModel, the same for LiteRT, and a golden sample. The wheel has it."""

COLOURS = {"green": (60, 200, 60), "red": (200, 60, 60)}
IMAGES, SIDE = 16, 24
"""Images of each label to train on, and their height and width in pixels."""


@dataclass(frozen=True)
class Sample:
    """The members of a sample artifact by name."""

    members: Mapping[str, bytes]

    @classmethod
    def read(cls, path: Path = SAMPLE) -> "Sample":
        """Raises OSError, and tarfile's errors."""
        with tarfile.open(path) as archive:
            files = ((each.name, archive.extractfile(each)) for each in archive)
            return cls({name: file.read() for name, file in files if file})

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.model_validate_json(self.members[MANIFEST])

    @property
    def golden(self) -> GoldenSample:
        """The golden sample's image name, label and score."""
        assert self.manifest.golden is not None
        return self.manifest.golden

    @property
    def image(self) -> bytes:
        """The golden sample's image, a PNG."""
        return self.members[self.golden.image]

    def described(self, description: str, golden_label: str = "") -> bytes:
        """The artifact with another description, which makes it another version.

        With `golden_label` its golden sample records another label than the model answers.
        """
        document = json.loads(self.members[MANIFEST]) | {"description": description}
        if golden_label:
            document["golden"]["label"] = golden_label
        return packed({**self.members, MANIFEST: json.dumps(document).encode()})


def packed(members: Mapping[str, bytes]) -> bytes:
    """Pack a `model.tar.gz`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)


def bad(text: str) -> bytes:
    """An artifact that onboarding must reject: it has neither a manifest nor a graph."""
    return packed({"README": text.encode()})


def images() -> Iterator[tuple[str, bytes]]:
    """Images to train on, each a PNG of noise around its label's colour: `green/3.png` and it."""
    random = np.random.default_rng(1)
    for label, colour in COLOURS.items():
        for number in range(IMAGES):
            noise = random.integers(-50, 50, (SIDE, SIDE, 3))
            file = io.BytesIO()
            Image.fromarray((noise + colour).clip(0, 255).astype(np.uint8)).save(file, "PNG")
            yield f"{label}/{number}.png", file.getvalue()
