"""A training job on this machine: the code it is handed, its layout, how it ends."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from local.training import REPOSITORY, TrainingFailed, TrainingJob, pack_code, run

FILES = {
    "training/train.py": "print('train')",
    "training/recipes/one.py": "",
    "training/requirements.txt": "pillow",
    "layers/facet/facet/manifest.py": "",
}


def sources(root: Path, order: list[str]) -> Path:
    """A small repository whose files were written in `order`."""
    for name in order:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(FILES[name])
    return root


def names(packed: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return tar.getnames()


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the order, the times and the compiled leftovers."""
    one = sources(tmp_path / "one", sorted(FILES))
    other = sources(tmp_path / "other", sorted(FILES, reverse=True))
    os.utime(other / "training/train.py", (1, 1))
    (other / "training/train.py").chmod(0o755)
    (other / "training/__pycache__").mkdir()
    (other / "training/__pycache__/train.cpython-312.pyc").write_bytes(b"x")
    assert pack_code(one) == pack_code(other)
    (other / "training/train.py").write_text("print('other')")
    assert pack_code(one) != pack_code(other)


def test_packages_and_requirements_lie_at_the_root(tmp_path: Path) -> None:
    assert names(pack_code(sources(tmp_path, list(FILES)))) == [
        "facet/manifest.py",
        "requirements.txt",
        "training/recipes/one.py",
        "training/train.py",
    ]


def test_this_repository_s_code_has_what_the_entry_point_imports() -> None:
    packed = names(pack_code(REPOSITORY))
    assert {"training/train.py", "training/recipes/cifar10.py", "facet/preprocess.py"} <= set(
        packed
    )
    assert all(name.endswith(".py") or name == "requirements.txt" for name in packed)


def job(tmp_path: Path, program: str, **hyperparameters: str) -> TrainingJob:
    """A job whose `train.py` is `program`, with one channel."""
    root = sources(tmp_path / "repository", list(FILES))
    (root / "training/train.py").write_text(program)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/cat.jpg").touch()
    return TrainingJob("job", pack_code(root), hyperparameters, {"train": tmp_path / "pictures"})


def test_a_job_finds_what_sagemaker_gives_it(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
import facet.manifest
print(sys.argv[1:], os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
model = Path(os.environ["SM_MODEL_DIR"])
(model / "1").mkdir()
for name in ("zebra", "1/saved_model.pb", "facet.json"):
    (model / name).write_text(name)
(Path(os.environ["SM_OUTPUT_DATA_DIR"]) / "where").write_text(facet.manifest.__file__)
"""
    lines: list[str] = []
    given = job(tmp_path, program, epochs="3", recipe="none")
    tarball = run(given, tmp_path / "ml", lines.append)
    assert lines == ["['--epochs', '3', '--recipe', 'none'] ['cat.jpg']"]
    with tarfile.open(tarball) as tar:
        assert tar.getnames() == ["facet.json", "1/saved_model.pb", "zebra"]
    imported = (tmp_path / "ml/output/data/where").read_text()
    assert imported == str(tmp_path / "ml/code/facet/manifest.py")


def test_a_job_that_fails_gives_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"status 3: no pictures$"):
        run(job(tmp_path, "print('no pictures\\n'); raise SystemExit(3)"), tmp_path / "ml")


def test_an_interrupted_job_is_stopped(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        started.append(int(line))
        raise KeyboardInterrupt

    started: list[int] = []
    program = "import os, time; print(os.getpid()); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        run(job(tmp_path, program), tmp_path / "ml", interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
