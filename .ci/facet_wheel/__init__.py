"""The build backend (PEP 517): a wheel holds one package, `facet`; the rest is setuptools'.

A checkout has top-level packages such as `cli` and `train`. In site-packages such names could
collide with anybody's, so `build_wheel` copies what the command `facet` imports below `facet/`
(`facet.cli`, `facet.train`), rewrites the imports, and has setuptools build the copy. An editable
install keeps the checkout's names. docs/decisions/0022-one-package-in-the-wheel.md has the reasons.

Every hook runs in the source's root, as PEP 517 demands.
"""

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    prepare_metadata_for_build_editable,
)

from facet_wheel.source import Source

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = Mapping[str, Any] | None


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Builds the wheel and returns its file name."""
    del metadata_directory  # setuptools writes the same again
    target = Path(wheel_directory).resolve()
    with _staged(Source.read(Path.cwd())):
        name: str = build_meta.build_wheel(str(target), config_settings)
        return name


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    """Writes the wheel's `.dist-info` and returns its name."""
    target = Path(metadata_directory).resolve()
    with _staged(Source.read(Path.cwd())):
        name: str = build_meta.prepare_metadata_for_build_wheel(str(target), config_settings)
        return name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Packs the files that build the wheel, where they are in a checkout; the file name."""
    source = Source.read(Path.cwd())
    base = f"{source.project['name']}-{source.project['version']}"
    packed = Path(sdist_directory).resolve() / f"{base}.tar.gz"
    with TemporaryDirectory() as scratch:
        info = prepare_metadata_for_build_wheel(scratch, config_settings)
        with tarfile.open(packed, "w:gz", format=tarfile.PAX_FORMAT) as archive:
            archive.add(Path(scratch, info, "METADATA"), f"{base}/PKG-INFO")
            for path in source.files():
                archive.add(path, f"{base}/{path.relative_to(source.root).as_posix()}")
    return packed.name


@contextmanager
def _staged(source: Source) -> Iterator[None]:
    with TemporaryDirectory(prefix="facet-wheel-") as folder:
        source.stage(Path(folder))
        with chdir(folder):
            yield
