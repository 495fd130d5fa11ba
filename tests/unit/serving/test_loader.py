"""Which runtime opens a version, and what is remembered of it."""

from pathlib import Path

import pytest

from serving.artifact import TFLITE, versions
from serving.crash_guard import LOADING, CrashGuard
from serving.errors import LoadFailed
from serving.runtimes import litert, saved_model
from serving.runtimes.loader import loader
from serving.settings import from_environment

SETTINGS = from_environment({})


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """Version 1 for LiteRT, version 2 for TensorFlow, neither of them a model."""
    lite = tmp_path / "artifact" / "1" / TFLITE
    lite.parent.mkdir(parents=True)
    lite.write_bytes(bytes(10_000))
    full = tmp_path / "artifact" / "2" / "saved_model.pb"
    full.parent.mkdir()
    full.write_bytes(bytes(20_000))
    return tmp_path / "artifact"


def test_each_runtime_estimates_its_own(artifact: Path, tmp_path: Path) -> None:
    estimate = loader(SETTINGS, tmp_path / "state").estimate
    lite, full = versions(artifact, "m")
    assert estimate(lite) == litert.estimate(10_000)
    assert estimate(full) == saved_model.estimate(20_000)
    assert estimate(lite) < estimate(full)


def test_the_reason_is_the_runtime_s(artifact: Path, tmp_path: Path) -> None:
    lite, _ = versions(artifact, "m")
    with pytest.raises(LoadFailed, match=r"LiteRT cannot load model\.tflite: ."):
        loader(SETTINGS, tmp_path / "state").open(lite)


def test_what_ended_the_process_twice_is_not_opened(artifact: Path, tmp_path: Path) -> None:
    lite, _ = versions(artifact, "m")
    state = tmp_path / "state"
    unfinished = []
    for _ in range(2):
        strikes = CrashGuard(state)
        unfinished.append(strikes.watch(lite.source))
        unfinished[-1].__enter__()
        strikes.close()
    with pytest.raises(LoadFailed, match="loading it ended the process 2 times"):
        loader(SETTINGS, state).open(lite)
    assert not any(each.read_bytes().strip(b"\0") for each in state.glob(f"*{LOADING}"))
