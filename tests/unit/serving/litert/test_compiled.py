"""The engine on LiteRT's C API, compared with the interpreter."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from serving.errors import InferenceFailed
from serving.litert import binding, memory
from serving.litert.compiled import Compiled
from serving.litert.interpreted import Interpreted
from serving.memory import private_bytes
from serving.runtimes.litert import LiteRT
from serving.runtimes.runtime import Array
from tests.support.inputs.lite_models import dense

RANDOM = np.random.default_rng(5)
WEIGHTS = RANDOM.normal(size=(48, 5)).astype(np.float32)
LARGE = 15_000_000
"""Weights of the large model: 60 MB, as VGG16 at 128 pixels has."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(dense(WEIGHTS))
    return path


@pytest.fixture
def engine(model: Path) -> Iterator[Compiled]:
    opened = Compiled(model, 1)
    yield opened
    opened.close()


def images(rows: int) -> dict[str, Array]:
    return {"image": RANDOM.normal(size=(rows, 48)).astype(np.float32)}


def test_answers_are_those_of_the_interpreter_as_batches_grow_and_shrink(
    engine: Compiled, model: Path
) -> None:
    interpreted = Interpreted(model, 1)
    for rows in (1, 8, 3, 3, 20, 1, 8):
        given = images(rows)
        answer = engine.call("serving_default", given)["scores"]
        wanted = interpreted.call("serving_default", given)["scores"]
        assert answer.dtype == wanted.dtype == np.float32
        assert answer.shape == wanted.shape == (rows, 5)
        assert answer.tobytes() == wanted.tobytes()


def test_inputs_need_no_order_in_memory(engine: Compiled) -> None:
    given = images(6)["image"]
    scattered = np.asfortranarray(given)[::2]
    answer = engine.call("serving_default", {"image": scattered})["scores"]
    ordered = engine.call("serving_default", {"image": given[::2].copy()})["scores"]
    assert answer.tobytes() == ordered.tobytes()


def test_an_answer_is_not_changed_by_later_calls(engine: Compiled) -> None:
    answer = engine.call("serving_default", images(2))["scores"]
    before = answer.copy()
    engine.call("serving_default", images(2))
    assert np.array_equal(answer, before)


def test_the_reason_of_a_failed_call_is_the_models_report_and_later_calls_succeed(
    engine: Compiled,
) -> None:
    reasons = set()
    for _ in range(3):
        with pytest.raises(InferenceFailed) as failed:
            engine.call("serving_default", {"image": np.zeros((2, 47), np.float32)})
        reasons.add(str(failed.value))
        assert engine.call("serving_default", images(2))["scores"].shape == (2, 5)
    (reason,) = reasons
    assert "XNNPack delegate failed to reshape runtime" in reason


def test_no_rows_are_an_error(engine: Compiled) -> None:
    with pytest.raises(InferenceFailed, match="LiteRT: "):
        engine.call("serving_default", images(0))


def test_room_is_kept_for_later_calls_without_their_answers() -> None:
    with memory.room() as room:
        address = room.address
        room.bytes[100:104] = 7
        room.wrote(100, 4)
    with memory.room() as room:
        assert room.address == address
        assert not room.bytes[:200].any()


def test_room_that_was_used_much_or_by_a_failed_call_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: deque[memory.Room] = deque()
    monkeypatch.setattr(memory, "_free", kept)
    with memory.room() as room:
        room.wrote(0, memory.KEPT + 1)
    with pytest.raises(ZeroDivisionError), memory.room():
        _ = 1 / 0
    assert not kept


def test_without_the_library_the_interpreter_serves(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binding, "library", lambda: binding.Library(Path("/nowhere.so")))
    runtime = LiteRT(model, 1)
    assert runtime.predict("serving_default", images(9))["scores"].shape == (9, 5)
    runtime.close()


def test_a_model_that_the_process_has_seen_compute_is_loaded_without_a_computation(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    call = Compiled.call

    def counted(self: Compiled, signature: str, inputs: dict[str, Array]) -> dict[str, Array]:
        calls.append(signature)
        return call(self, signature, inputs)

    monkeypatch.setattr(Compiled, "call", counted)
    counts = []
    for measured in (True, True, False):
        calls.clear()
        LiteRT(model, 1, measured=measured).close()
        counts.append(len(calls))
    model.write_bytes(dense(2 * WEIGHTS))
    calls.clear()
    LiteRT(model, 1, measured=True).close()
    assert [*counts, len(calls)] == [1, 0, 1, 1]


def longest_gap(work: Callable[[], object]) -> float:
    """Seconds for which another thread could not run while `work` did."""
    gaps, done = [0.0], threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.0002)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    time.sleep(0.01)
    work()
    done.set()
    watcher.join()
    return max(gaps)


def test_a_large_model_loads_and_computes_without_stopping_other_threads(tmp_path: Path) -> None:
    """The interpreter holds Python's lock while it packs the weights; this must not."""
    path = tmp_path / "large.tflite"
    path.write_bytes(dense(np.ones((LARGE // 3000, 3000), np.float32)))
    image = {"image": np.ones((1, LARGE // 3000), np.float32)}
    engines: list[Compiled | Interpreted] = []

    def gap(make: Callable[[Path, int], Compiled | Interpreted]) -> float:
        def work() -> None:
            engines.append(make(path, 1))
            engines[-1].call("serving_default", image)

        return longest_gap(work)

    gaps = [(gap(Compiled), gap(Interpreted)) for _ in range(3)]
    for engine in engines:
        engine.close()
    assert min(new for new, _ in gaps) < 0.3 * min(old for _, old in gaps), gaps


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_loading_and_unloading_leaves_no_memory(model: Path) -> None:
    def cycles(count: int) -> int:
        for _ in range(count):
            runtime = LiteRT(model, 1)
            runtime.predict("serving_default", images(8))
            runtime.close()
        return private_bytes()

    settled = cycles(50)
    assert cycles(400) - settled < 2_000_000
