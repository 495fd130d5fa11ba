"""What is accepted, every program that SageMaker might use unpacks alike (decision 24)."""

import gzip
import io
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from facet.artifact import archive
from facet.artifact.gzip_stream import Digested, Unpacked
from facet.artifact.names import normalised
from facet.artifact.tar_stream import members
from tests.support.inputs import artifacts, tar_corpus, tar_readers
from tests.support.inputs.hostile import block, distorted, header, pax
from tests.support.inputs.tar_corpus import STYLES, Style, blocks, packed, record
from tests.support.processes.waiting import LONG

needs_readers = pytest.mark.skipif(
    bool(tar_readers.missing()), reason=f"not installed: {', '.join(tar_readers.missing())}"
)
DISTORTED = 500
SEED = 24


def accepted(raw: bytes) -> bool:
    return not archive.read(io.BytesIO(gzip.compress(raw, 1))).violations


def contents(raw: bytes) -> dict[str, bytes]:
    stream = Unpacked(Digested(io.BytesIO(gzip.compress(raw, 1))))
    return {normalised(each.name): each.content.read() for each in members(stream) if each.is_file}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_archives_of_each_program_are_accepted(style: Style) -> None:
    raw = packed(blocks(style))
    found = archive.read(io.BytesIO(gzip.compress(raw)))
    assert found.violations == []
    assert found.files.keys() >= {"facet.json", "1/saved_model.pb", "1/assets/empty"}
    assert contents(raw).items() <= tar_corpus.CONTENTS.items()


def written(archives: Path, raws: Iterable[bytes]) -> dict[str, bytes]:
    archives.mkdir()
    named = {f"{number:05}.tar": raw for number, raw in enumerate(raws)}
    for name, raw in named.items():
        (archives / name).write_bytes(raw)
    return named


@needs_readers
def test_programs_differ_on_archives_that_are_refused(tmp_path: Path) -> None:
    hidden = block("code/inference.py", b"import os")
    inside = record("comment", "x\n26 path=code/inference.py")
    differ = [
        distorted("code/x", {257: b"ustar  \0", 345: b"1/assets"}),
        distorted("1/x", {124: b"0_2000\0\0\0\0\0\0"}) + hidden,
        pax(inside) + header("1/x"),
    ]
    raws = [block("facet.json", b"{}") + each + tar_corpus.END for each in differ]
    assert not any(accepted(raw) for raw in raws)
    named = written(tmp_path / "archives", raws)
    trees = tar_readers.unpacked(tmp_path / "archives", tmp_path)
    for name in named:
        made = [set(trees[reader][name] or ()) for reader in trees]
        assert any(each != made[0] for each in made), name


@needs_readers
def test_all_programs_unpack_alike_what_is_accepted(tmp_path: Path) -> None:
    raws = [raw for raw in tar_corpus.corpus(DISTORTED, SEED) if accepted(raw)]
    assert len(raws) > len(STYLES) + DISTORTED // 8
    named = written(tmp_path / "archives", raws)
    for reader, trees in tar_readers.unpacked(tmp_path / "archives", tmp_path).items():
        wrong = [name for name, tree in trees.items() if tree != contents(named[name])]
        assert not wrong, f"{reader} unpacks {wrong} otherwise"


@pytest.mark.skipif("tar" in tar_readers.missing(), reason="not installed: tar")
def test_the_remedy_for_macos_files_leaves_out_those_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "DIR"
    for name in ("facet.json", "._facet.json", "1/saved_model.pb", "1/._saved_model.pb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "1" / ".DS_Store").write_bytes(b"x")
    violating = artifacts.packed([("1/._x", b""), ("1/.DS_Store", b"")])
    (violation,) = archive.read(io.BytesIO(violating)).violations
    command = violation.remedy.removeprefix("pack it with: ")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, timeout=LONG)
    with (tmp_path / "model.tar.gz").open("rb") as file:
        assert archive.read(file).files.keys() == {"facet.json", "1/saved_model.pb"}
