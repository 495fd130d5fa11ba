"""Packs files into a `tar.gz`; equal content makes equal bytes."""

import io
import tarfile
from collections.abc import Iterable
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO


def pack(members: Iterable[tuple[str, Path | bytes]], file: BinaryIO) -> None:
    """Writes a tar.gz of files and contents, without times and owners."""
    with (
        GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, source in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content:
                member.size = content.seek(0, io.SEEK_END)
                content.seek(0)
                tar.addfile(member, content)
