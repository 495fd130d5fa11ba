"""The wheel in an empty environment: what `pip install facet` gives, used on a running stack."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.inputs.artifacts import packed
from tests.support.stacks import ROOT, Running

BIN = Path(sys.executable).parent
SAMPLE = ROOT / "samples/cifar.tar.gz"
IMAGES = ROOT / "samples/images/cifar"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECONDS = 300

CHECKOUT_ONLY = ("local", "cli", "train", "training", "predict", "onboard", "page", "serving")
IMPORT_ALL = """
import importlib, json, pkgutil, facet
missing = {}
for module in pkgutil.walk_packages(facet.__path__, "facet."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing[module.name] = error.name
print(json.dumps(missing))
"""


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel and its dependencies, and nothing else of Facet."""

    environment: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment outside the checkout."""
        kept = {each: os.environ[each] for each in ("PATH", "HOME", "LANG") if each in os.environ}
        return subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=kept | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def facet(self, *arguments: str, code: int = 0) -> str:
        """Standard output of the command, or where it fails standard error."""
        done = self.run("facet", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder, outside = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("outside")
    build = ("build", "--quiet", "--wheel", "--offline", "--no-build-isolation")
    uv(*build, "--python", sys.executable, "--out-dir", str(folder), str(ROOT))
    wheel, environment = folder / f"facet-{VERSION}-py3-none-any.whl", folder / "environment"
    uv("venv", "--quiet", "--python", sys.executable, str(environment))
    install = ("pip", "install", "--quiet", "--python", str(environment), str(wheel))
    pins = ("--constraints", str(ROOT / "constraints.txt"))
    if uv(*install, *pins, "--offline", check=False) and uv(*install, *pins, check=False):
        pytest.skip("the wheel's dependencies are not in uv's cache, and no registry has them")
    return Installed(environment, outside)


def uv(*arguments: str, check: bool = True) -> int:
    done = subprocess.run([BIN / "uv", *arguments], capture_output=True, text=True, timeout=SECONDS)
    assert not (check and done.returncode), done.stderr
    return done.returncode


def test_installs_one_top_level_package(installed: Installed) -> None:
    (packages,) = installed.environment.glob("lib/python3*/site-packages")
    record = (packages / f"facet-{VERSION}.dist-info/RECORD").read_text()
    names = {re.split("[/,]", line)[0] for line in record.splitlines()}
    assert names == {"facet", f"facet-{VERSION}.dist-info", ".."}  # .. leads to bin/facet
    assert (packages / "facet/py.typed").exists()
    assert (packages / "facet/cli/cost/prices.json").exists()
    look = f"from importlib.util import find_spec; print([*map(find_spec, {CHECKOUT_ONLY!r})])"
    assert installed.run("python", "-c", look).stdout == f"{[None] * len(CHECKOUT_ONLY)}\n"


def test_every_module_imports_but_for_the_extras(installed: Installed) -> None:
    done = installed.run("python", "-W", "error", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    missing = json.loads(done.stdout)
    extras = {"tensorflow", "keras", "ai_edge_litert", "h5py", "flatbuffers"}
    assert {*missing.values()} <= extras, missing


def test_prints_its_version(installed: Installed) -> None:
    assert installed.facet("--version") == f"facet {VERSION}\n"


def test_help_lists_the_commands_and_names_the_folder_of_the_pages(installed: Installed) -> None:
    text = installed.facet("--help")
    assert {"predict", "push", "pack", "models"} <= {*text.split()}
    flat = re.sub(r"\s", "", text)
    (packages,) = installed.environment.glob("lib/python3*/site-packages")
    assert f"docs/…arein{packages / 'facet'}." in flat
    assert "--preprocessing" in installed.facet("pack", "--help")


@pytest.mark.parametrize("arguments", [("up",), ("train", "cifar10", "--up")])
def test_says_in_one_line_that_the_local_stack_needs_a_checkout(
    installed: Installed, arguments: tuple[str, ...]
) -> None:
    assert installed.facet(*arguments, code=1) == (
        "error: a stack on this machine runs from a checkout only: clone Facet's repository and "
        "use `make run` there\n"
    )


def test_without_a_stack_it_says_how_to_name_one(installed: Installed) -> None:
    failed = installed.facet("models", code=1)
    assert failed.startswith("error: no stack runs with its state in .facet; ")
    assert "--home" in failed
    assert "--stack NAME" in failed


def test_without_tensorflow_it_says_what_to_install(installed: Installed) -> None:
    (installed.folder / "model.keras").write_bytes(b"\x89HDF\r\n\x1a\n")
    failed = installed.facet("pack", "model.keras", "--yes", code=1)
    assert 'pip install "facet[tensorflow]"' in failed
    assert "make" not in failed


def test_doctor_and_cost_need_no_checkout(installed: Installed) -> None:
    assert "starts from a checkout only" in installed.facet("doctor")
    assert "one multi-model endpoint" in installed.facet("cost")


def test_lists_and_shows_models(stack: Running, installed: Installed) -> None:
    home = ("--home", str(stack.home))
    listed = json.loads(installed.facet("models", "--json", *home))
    assert "cifar" in {each["name"] for each in listed["models"]}
    assert "cat" in installed.facet("show", "cifar", *home)


def test_classifies_images(stack: Running, installed: Installed) -> None:
    image = str(IMAGES / "cat-chelsea.jpg")
    said = installed.facet("predict", "cifar", image, "--json", "--home", str(stack.home))
    (result,) = json.loads(said)["results"]
    assert result["predictions"][0]["label"] == "cat"


def test_pushes_an_artifact_until_it_is_ready(stack: Running, installed: Installed) -> None:
    push = ("push", str(SAMPLE), "--model", "from-wheel", "--home", str(stack.home))
    assert installed.facet(*push).endswith(
        ": READY (proof: golden on the endpoint and in the function), and live\n"
    )


def test_verifies_a_stack(stack: Running, installed: Installed) -> None:
    some = ("--only", "golden-proof", "--only", "infer-binary")
    said = installed.facet("verify", *some, "--home", str(stack.home))
    assert said.endswith("\n3 seen, 0 different, 0 not tried\n")


def test_reasons_name_pages_that_the_reader_has(stack: Running, installed: Installed) -> None:
    (installed.folder / "bare.tar.gz").write_bytes(packed({"1/saved_model.pb": b""}))
    done = installed.run("facet", "push", "bare.tar.gz", "--home", str(stack.home))
    assert done.returncode == 1
    (page,) = {*re.findall(r"\S+/docs/manifest\.md", done.stdout)}
    assert Path(page).is_relative_to(installed.environment)
    assert Path(page).is_file()
