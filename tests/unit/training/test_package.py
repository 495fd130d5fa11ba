"""training/package.py: the content of sourcedir.tar.gz and its key."""

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.support.processes.waiting import LONG
from training.package import REPOSITORY, code_key, pack_code

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
    """Order, times, modes and compiled files do not matter."""
    one = sources(tmp_path / "one", sorted(FILES))
    other = sources(tmp_path / "other", sorted(FILES, reverse=True))
    os.utime(other / "training/train.py", (1, 1))
    (other / "training/train.py").chmod(0o755)
    (other / "training/__pycache__").mkdir()
    (other / "training/__pycache__/train.cpython-312.pyc").write_bytes(b"x")
    assert pack_code(one) == pack_code(other)
    (other / "training/train.py").write_text("print('other')")
    assert pack_code(one) != pack_code(other)


def test_packages_and_requirements_are_at_the_root(tmp_path: Path) -> None:
    assert names(pack_code(sources(tmp_path, list(FILES)))) == [
        "facet/manifest.py",
        "requirements.txt",
        "training/recipes/one.py",
        "training/train.py",
    ]


def test_requirements_are_installed_from_the_wheels_alone(tmp_path: Path) -> None:
    repository = sources(tmp_path / "repository", list(FILES))
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "pillow-13.0.0-py3-none-any.whl").write_bytes(b"wheel")
    (wheels / "notes.txt").write_text("no wheel")
    packed = pack_code(repository, wheels)
    assert names(packed)[-1] == "wheels/pillow-13.0.0-py3-none-any.whl"
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        requirements = tar.extractfile("requirements.txt")
        assert requirements
        assert requirements.read() == b"--no-index\n--find-links wheels\npillow"
    assert pack_code(repository, wheels) == packed != pack_code(repository)


def test_without_a_package_index_the_command_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    digest = "0" * 64
    (tmp_path / "training/wheels.txt").write_text(f"facet-none==1 --hash=sha256:{digest}\n")
    code = (
        "import sys; from pathlib import Path; from training.package import *\n"
        "try:\n    download_wheels(Path(sys.argv[1]))\n"
        "except NoWheels as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        timeout=LONG,
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull},
    )
    assert "No matching distribution found for facet-none==1" in done.stdout, done.stderr
    assert "WHEELS=no" in done.stdout
    assert not list((tmp_path / "build/wheels").iterdir())


def test_packs_all_modules_of_this_repository() -> None:
    packed = names(pack_code(REPOSITORY))
    training, facet = REPOSITORY / "training", REPOSITORY / "layers/facet/facet"
    modules = [
        path.relative_to(folder.parent).as_posix()
        for folder in (training, facet)
        for path in folder.rglob("*.py")
    ]
    assert sorted(packed) == sorted([*modules, "requirements.txt"])
    assert {"training/fitting/fit.py", "training/export/export.py"} <= set(packed)


def test_the_key_depends_on_the_content() -> None:
    assert code_key(b"code") == "code/5694d08a2e53/sourcedir.tar.gz"
    assert code_key(b"code") != code_key(b"other")


def test_the_command_prints_the_key_without_tensorflow() -> None:
    code = (
        "import runpy, sys; sys.argv[1:] = []\n"
        "try:\n    runpy.run_module('training.package', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"code/[0-9a-f]{12}/sourcedir\.tar\.gz\n", done.stdout)
