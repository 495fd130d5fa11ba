"""Models in the function: answers, the two levels of memory, and faults of which others know
nothing."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infer import answers
from infer.errors import InferError
from infer.inference import FILES, Inference
from infer.invocation import Invocation
from infer.model_files import ModelFiles
from infer.process import model_process, runner
from infer.process.model_process import PROGRAM, ModelProcess
from tests.support.inputs import lite_models
from tests.support.inputs.unfit_models import UNFIT
from tests.support.processes.waiting import LONG

FRAGILE = (str(Path(__file__).with_name("fragile_runner.py")),)
MEGABYTE = 1 << 20
ROOM = 400 * MEGABYTE
VERSION = "0123456789ab"

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


class Bucket:
    """Objects by key; counts how often one is read. Writing fails as long as `full_while`."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads = 0
        self.full_while: Callable[[], bool] = lambda: False

    @contextmanager
    def open(self, key: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        self.reads += 1
        if self.full_while():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield len(self.objects[key]), iter([self.objects[key]])


class Function:
    """The function with models that a test puts into its bucket."""

    def __init__(self, folder: Path, memory: int, program: tuple[str, ...], files: int) -> None:
        self.bucket = Bucket()
        self.inference = Inference(
            ModelFiles(folder / "models", files, self.bucket),
            ModelProcess(folder, memory, files, program),
        )

    def put(self, model: str, content: bytes) -> Invocation:
        """Store a model; the invocation that sends it the row [1, 2]."""
        key = f"lite/{model}/{VERSION}.tflite"
        self.bucket.objects[key] = content
        request = {"instances": [{"image": [1, 2]}]}
        return Invocation(key, hashlib.sha256(content).hexdigest(), request, "r-1")

    def ask(self, invocation: Invocation, seconds: float = LONG) -> dict[str, Any]:
        """The answer as a caller reads it; seconds: the function's timeout."""
        try:
            answer = answers.success(self.inference.run(invocation, seconds))
        except InferError as error:
            answer = answers.failure(error)
        found: dict[str, Any] = json.loads(json.dumps(answer))
        return found

    @property
    def pid(self) -> int:
        """Of the models' process."""
        assert self.inference.process.pid is not None
        return self.inference.process.pid


Start = Callable[..., Function]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Function] = []

    def start(
        memory: int = ROOM, program: tuple[str, ...] = PROGRAM, files: int = FILES
    ) -> Function:
        started.append(Function(tmp_path, memory, program, files))
        return started[-1]

    yield start
    for each in started:
        each.inference.close()


def model(number: int, width: int = 1) -> bytes:
    """A model that answers [number, 2 · number, …] to [1, 2]: `width` times each."""
    weights = np.array([[number, 0], [0, number]], np.float32)
    return lite_models.dense(np.tile(weights, (1, width)))


def large(number: int, megabytes: float) -> bytes:
    """A model with as large weights, of which none but the last inputs' columns are used."""
    return model(number, int(megabytes * MEGABYTE / 16))


def test_answers_have_the_containers_form_and_say_what_took_how_long(start: Start) -> None:
    function = start()
    answer = function.ask(function.put("cats", model(3)))
    assert answer.pop("seconds").keys() == {"read", "load", "compute"}
    assert answer == {"status": 200, "response": {"predictions": [[3.0, 6.0]]}}


def test_a_model_is_read_and_loaded_once(start: Start) -> None:
    function = start()
    cats, dogs = function.put("cats", model(3)), function.put("dogs", model(5))
    first = function.ask(cats)
    assert function.ask(dogs)["response"] == {"predictions": [[5.0, 10.0]]}
    later = [function.ask(cats) for _ in range(5)]
    assert [each["response"] for each in later] == [first["response"]] * 5
    assert min(each["seconds"]["load"] for each in later) < first["seconds"]["load"] / 2
    assert function.bucket.reads == 2


SECRETS = {
    "AWS_ACCESS_KEY_ID": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "secret",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_DEFAULT_REGION": "us-east-1",
    "FACET_BUCKET": "secret",
}


def spied(tmp_path: Path, *options: str) -> Any:
    """What a model sees that took over its process."""
    code = [sys.executable, str(Path(__file__).with_name("spy.py")), *options]
    path = os.pathsep.join(each for each in sys.path if each)
    environment = {**os.environ, **SECRETS, "TMPDIR": str(tmp_path), "PYTHONPATH": path}
    done = subprocess.run(code, env=environment, capture_output=True, text=True, timeout=LONG)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@linux
def test_the_models_process_has_no_credentials_and_reads_none_of_the_functions(
    tmp_path: Path,
) -> None:
    found = spied(tmp_path)
    own = {"LC_CTYPE", "PYTHONPATH", "OPENBLAS_NUM_THREADS"}
    assert set(found["variables"]) <= {*model_process.KEPT, *own}
    assert found["parent"] == dict.fromkeys(("environ", "mem", "fd"), "PermissionError")
    exposed = spied(tmp_path, "exposed")
    assert "AWS_SECRET_ACCESS_KEY=secret" in exposed["parent"]["environ"], "the test can see it"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [{"picture": [1, 2]}]}, "keys must be equal to: image"),
        ({"instances": [{"image": [1, 2, 3]}]}, ""),
        ({"instances": [{"image": "1"}]}, ""),
        ({"instances": []}, "No values"),
        ({"signature_name": "train", "instances": [1]}, 'signature name: "train" not found'),
    ],
)
def test_a_request_that_does_not_fit_is_400(
    start: Start, request_: dict[str, Any], text: str
) -> None:
    function = start()
    good = function.put("cats", model(3))
    answer = function.ask(Invocation(good.key, good.sha256, request_, "r-1"))
    assert answer["status"] == 400
    assert text in answer["response"]["error"]
    assert function.ask(good)["status"] == 200


def test_a_model_that_is_not_in_the_file_fails_by_name(start: Start) -> None:
    function = start()
    for content in (b"", b"TFL3", b"\0" * 100, model(3)[:100], b"x" * 5000):
        answer = function.ask(function.put("cats", content))
        assert answer["status"] == 500
        assert answer["response"]["error"].startswith(f"Model cats/{VERSION} cannot be loaded")
    assert function.ask(function.put("dogs", model(5)))["status"] == 200


@linux
def test_the_least_recently_used_models_make_room(start: Start) -> None:
    """Not all of 30 models of 4 MB fit, each of which takes 6 MB; memory stays within its limit."""
    function = start(memory=150 * MEGABYTE)
    asked = [function.put(f"m{number}", large(number, 4)) for number in range(1, 31)]
    for _ in range(2):
        for number, each in enumerate(asked, 1):
            answer = function.ask(each)
            assert answer["status"] == 200, answer
            assert answer["response"]["predictions"][0][:2] == [number, 2 * number]
    status = Path(f"/proc/{function.pid}/status").read_text()
    (private,) = (int(row.split()[1]) for row in status.splitlines() if row.startswith("RssAnon"))
    assert private * 1024 < 150 * MEGABYTE
    assert function.bucket.reads == 30, "the disk is the second level"


@linux
def test_a_model_that_never_fits_fails_by_name_and_others_go_on(start: Start) -> None:
    function = start(memory=120 * MEGABYTE)
    small = function.put("small", model(3))
    assert function.ask(small)["status"] == 200
    pid = function.pid
    answer = function.ask(function.put("big", large(1, 100)))
    assert (answer["status"], answer["response"]["code"]) == (507, "too-large")
    assert answer["response"]["error"].startswith(f"Model big/{VERSION} does not fit")
    assert function.ask(small)["status"] == 200
    assert function.pid == pid


@linux
def test_files_that_were_removed_stay_mapped_within_a_bound(start: Start) -> None:
    """20 models of 1 MB, of which the disk may have 4 with a name."""
    function = start(files=4 * MEGABYTE + 100_000)
    asked = [function.put(f"m{number}", large(number, 1)) for number in range(1, 21)]
    for number, each in enumerate(asked, 1):
        assert function.ask(each)["response"]["predictions"][0][:2] == [number, 2 * number]
        assert mapped(function) <= 4 * MEGABYTE + 200_000
    reads = function.bucket.reads
    for each in asked[-3:]:
        assert function.ask(each)["status"] == 200
    assert function.bucket.reads == reads, "models in memory are on disk, too"


def mapped(function: Function) -> int:
    """Bytes of models' files that the process has mapped, with and without a name."""
    maps = Path(f"/proc/{function.pid}/maps").read_text().splitlines()
    ranges = [row.split()[0].split("-") for row in maps if "/models/" in row]
    found = sum(int(end, 16) - int(start, 16) for start, end in ranges)
    assert found, maps
    return found


@linux
def test_a_full_disk_unloads_all_models_and_goes_on(start: Start) -> None:
    """What models have mapped without a name is freed, and the file is read once more."""
    function = start()
    assert function.ask(function.put("cats", model(3)))["status"] == 200
    before = function.pid
    function.bucket.full_while = lambda: function.inference.process.pid == before
    dogs = function.put("dogs", model(5))
    assert function.ask(dogs)["response"] == {"predictions": [[5.0, 10.0]]}
    function.bucket.full_while = lambda: True
    answer = function.ask(function.put("birds", model(7)))
    assert answer["status"] == 503
    assert "No space left on device" in answer["response"]["error"]
    assert function.ask(dogs)["response"] == {"predictions": [[5.0, 10.0]]}


def test_a_file_larger_than_the_disks_share_is_refused_unread(start: Start) -> None:
    function = start(files=10_000)
    answer = function.ask(function.put("big", b"x" * 10_001))
    assert (answer["status"], answer["response"]["code"]) == (507, "too-large")
    assert f"lite/big/{VERSION}.tflite" in answer["response"]["error"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dies", "ended the process that ran it (signal: segmentation fault)"),
        ("exits", "ended the process that ran it (exit status 3)"),
        ("babbles", "ended the process that ran it"),
        ("hangs", "was stopped: it did not load and answer within 1.0 seconds, perhaps without"),
    ],
)
def test_a_model_that_ends_the_process_fails_by_name_and_others_go_on(
    start: Start, name: str, text: str
) -> None:
    function = start(program=FRAGILE)
    small = function.put("small", model(3))
    assert function.ask(small)["status"] == 200
    hasty = replace(function.put(name, model(1)), seconds=1)
    answer = function.ask(hasty, seconds=4)
    assert answer["status"] == 500
    assert answer["response"]["error"].startswith(f"Model {name}/{VERSION} {text}")
    assert function.ask(small)["response"] == {"predictions": [[3.0, 6.0]]}


@pytest.mark.parametrize(
    ("program", "text"),
    [
        ("import no_such_module", "ended before it was ready (exit status 1). The function's log"),
        ("import time; time.sleep(60)", "was not ready within 0."),
    ],
)
def test_a_process_that_cannot_start_is_no_fault_of_the_model(
    start: Start, program: str, text: str
) -> None:
    function = start(program=("-c", program))
    cats = function.put("cats", model(3))
    for _ in range(2):
        answer = function.ask(cats, seconds=3 if "sleep" in program else LONG)
        assert answer["status"] == 503
        assert answer["response"]["error"].startswith(f"The process that runs models {text}")


def test_a_system_that_keeps_its_order_of_processes_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    runner.first_to_go()


def test_a_process_that_was_killed_between_requests_is_replaced(start: Start) -> None:
    function = start()
    small = function.put("small", model(3))
    assert function.ask(small)["status"] == 200
    os.kill(function.pid, 9)
    os.waitid(os.P_PID, function.pid, os.WEXITED | os.WNOWAIT)
    assert function.ask(small)["status"] == 200


def test_hostile_files_fail_by_name_or_answer_and_others_go_on(start: Start) -> None:
    """Those that the container is tested with, and a file with one damaged byte at a time."""
    function = start()
    weights = np.array([[3, 0], [0, 3]], np.float32)
    whole = lite_models.dense(weights)
    files = [lite_models.dense(weights, change) for change in UNFIT.values()]
    random = np.random.default_rng(7)
    for place, byte in zip(random.integers(0, len(whole), 60), random.bytes(60), strict=True):
        files.append(whole[:place] + bytes([byte]) + whole[place + 1 :])
    small = function.put("small", model(5))
    for number, content in enumerate(files):
        answer = function.ask(function.put(f"h{number}", content))
        assert answer["status"] in (200, 400, 500), answer
        if answer["status"] == 500:
            assert re.match(rf"Model h{number}/|LiteRT: |Tensor ", answer["response"]["error"]), (
                answer
            )
        assert function.ask(small)["response"] == {"predictions": [[5.0, 10.0]]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"instances": [NaN]}'])
def test_hostile_bodies_are_400(start: Start, tmp_path: Path, body: bytes) -> None:
    """The function writes its requests itself; its models' process takes others, too."""
    function = start()
    path = tmp_path / "model"
    path.write_bytes(model(3))
    function.inference.process.start()
    function.inference.process.wait_until_ready(LONG)
    result = function.inference.process.ask("cats/1", path, body, "r-1", LONG)
    assert result.status == 400, result
    assert function.ask(function.put("cats", model(3)))["status"] == 200
