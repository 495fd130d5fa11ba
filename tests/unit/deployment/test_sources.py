"""deployment/sources.py: what the archive of the container's sources holds, and its tag."""

import io
import os
import re
import zipfile
from pathlib import Path

import pytest

from deployment.sources import REPOSITORY, REQUIREMENTS, Sources, pack

FILES = {
    "deployment/build.sh": "docker buildx build",
    "serving/Dockerfile": "FROM python",
    "serving/requirements.txt": "ai-edge-litert",
    "serving/requirements-tensorflow.txt": "tensorflow-cpu",
    "serving/app.py": "print('app')",
    "serving/rest/request.py": "",
}


def written(root: Path, order: list[str]) -> Path:
    """A small repository whose files were written in `order`."""
    for name in order:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(FILES[name])
    return root


def names(sources: Sources) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(sources.archive)) as archive:
        return set(archive.namelist())


def test_the_same_sources_give_the_same_tag_and_bytes(tmp_path: Path) -> None:
    """Order, times, modes, compiled files and files of other folders do not matter."""
    one = written(tmp_path / "one", sorted(FILES))
    other = written(tmp_path / "other", sorted(FILES, reverse=True))
    os.utime(other / "serving/app.py", (1, 1))
    (other / "serving/app.py").chmod(0o755)
    (other / "serving/__pycache__").mkdir()
    (other / "serving/__pycache__/app.cpython-312.pyc").write_bytes(b"x")
    (other / "README.md").write_text("more")
    assert pack("tensorflow", one) == pack("tensorflow", other)


@pytest.mark.parametrize("name", [name for name in FILES if name != "serving/requirements.txt"])
def test_a_change_of_any_file_gives_another_tag(tmp_path: Path, name: str) -> None:
    root = written(tmp_path, list(FILES))
    before = pack("tensorflow", root).tag
    (root / name).write_text("changed")
    assert pack("tensorflow", root).tag != before


def test_what_another_runtime_requires_does_not_matter(tmp_path: Path) -> None:
    root = written(tmp_path, list(FILES))
    before = pack("tensorflow", root)
    (root / "serving/requirements.txt").write_text("changed")
    assert pack("tensorflow", root) == before
    assert pack("litert", root).tag != before.tag


@pytest.mark.parametrize("runtime", REQUIREMENTS)
def test_the_archive_has_what_the_dockerfile_copies(runtime: str) -> None:
    packed = pack(runtime, REPOSITORY)
    dockerfile = (REPOSITORY / "serving/Dockerfile").read_text()
    patterns = [
        each.replace("${REQUIREMENTS}", packed.requirements)
        for each in re.findall(r"^COPY (\S+)", dockerfile, re.MULTILINE)
    ]
    assert len(patterns) > 3
    copied = {
        path.relative_to(REPOSITORY).as_posix()
        for each in patterns
        for path in REPOSITORY.glob(each)
    }
    assert names(packed) == copied | {"deployment/build.sh", "serving/Dockerfile"}


@pytest.mark.parametrize("runtime", REQUIREMENTS)
def test_ecr_and_s3_accept_the_tag(runtime: str) -> None:
    """An image's tag has at most 128 characters: letters, digits, and _.- after the first."""
    assert re.fullmatch(rf"{runtime}-[0-9a-f]{{16}}", pack(runtime, REPOSITORY).tag)
