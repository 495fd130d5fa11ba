"""Faults of one model: the others answer, the error gives the reason, and nothing leaks."""

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import stat
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.serving.fragile_container import ON_INVOKE
from tests.support.processes.waiting import LONG, wait_until

ContainerProcess = Any  # conftest.ContainerProcess
StartContainer = Callable[..., ContainerProcess]

PIXELS = {"instances": [{"image": {"b64": base64.b64encode(bytes(192)).decode()}}]}
WHITE = {"instances": [{"image": {"b64": base64.b64encode(b"\xff" * 192).decode()}}]}
FRAGILE = (sys.executable, str(Path(__file__).with_name("fragile_container.py")))
GIGABYTE = 10**9

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def container(start_container: StartContainer, artifacts: Path) -> ContainerProcess:
    started = start_container(FACET_SERVING_MEMORY=str(GIGABYTE))
    for name in ("classifier", "plain"):
        answer = started.load(name, artifacts / name)
        assert answer.status_code == 200, answer.text
    return started


@pytest.fixture(autouse=True)
def other_models_answer(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, the shared container is the same process and its models answer."""
    yield
    if "container" in request.fixturenames:
        shared = request.getfixturevalue("container")
        assert shared.process.poll() is None
        for name in ("classifier", "plain"):
            answer = shared.invoke(name, PIXELS)
            assert answer.status_code == 200, answer.text


class HeldLoad:
    """A load that lasts until the `with` block ends: its `saved_model.pb` is a pipe."""

    def __init__(self, container: ContainerProcess, name: str, folder: Path) -> None:
        self._pipe = folder / name / "1" / "saved_model.pb"
        self._pipe.parent.mkdir(parents=True)
        os.mkfifo(self._pipe)
        self._pool = ThreadPoolExecutor(1)
        self.answer = self._pool.submit(container.load, name, folder / name)

    def __enter__(self) -> "HeldLoad":
        return self

    def __exit__(self, *_: object) -> None:
        """Have every read of the pipe return an empty file."""
        while not self.answer.done():
            with contextlib.suppress(OSError):
                os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
            time.sleep(0.01)
        self._pool.shutdown()


def is_active(state: Path) -> bool:
    """Whether a container with that folder for its state is loading or computing a model."""
    return any(each.read_bytes().strip(b"\0") for each in state.glob("*.slots"))


def test_a_slow_and_failing_load_delays_no_other_model(
    container: ContainerProcess, artifacts: Path, tmp_path: Path
) -> None:
    with HeldLoad(container, "slow", tmp_path) as slow:
        for name, source in (("other", "classifier"), ("full", "plain")):
            answer = container.load(name, artifacts / source)
            assert answer.status_code == 200, answer.text
            assert container.invoke(name, PIXELS).status_code == 200
            assert container.http.delete(f"/models/{name}").status_code == 200
        assert not slow.answer.done()
    answer = slow.answer.result()
    assert answer.status_code == 500
    assert "TensorFlow cannot load the SavedModel" in answer.json()["error"]
    assert "cannot load model slow (slow): " in container.log.read_text()
    assert container.http.get("/models/slow").status_code == 404


def test_a_model_loads_after_the_process_was_killed_once_while_loading_it(
    start_container: StartContainer, artifacts: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    first = start_container(FACET_SERVING_STATE=str(state))
    assert first.load("plain", artifacts / "plain").status_code == 200
    with HeldLoad(first, "slow", tmp_path) as slow:
        wait_until(lambda: is_active(state))
        first.process.send_signal(signal.SIGKILL)
    assert isinstance(slow.answer.exception(), httpx.TransportError)
    second = start_container(FACET_SERVING_STATE=str(state))
    shutil.rmtree(tmp_path / "slow")
    shutil.copytree(artifacts / "plain", tmp_path / "slow")
    for name, folder in (("slow", tmp_path / "slow"), ("classifier", artifacts / "classifier")):
        answer = second.load(name, folder)
        assert answer.status_code == 200, answer.text
        assert second.invoke(name, PIXELS).status_code == 200
    assert not is_active(state)


def test_refuses_a_model_that_ended_the_process_twice_while_computing(
    start_container: StartContainer, artifacts: Path, tmp_path: Path
) -> None:
    crashing = tmp_path / "crashing"
    shutil.copytree(artifacts / "classifier", crashing)
    with next(crashing.rglob("model.tflite")).open("ab") as tflite:
        tflite.write(ON_INVOKE)
    state = str(tmp_path / "state")
    for _ in range(2):
        ended = start_container(FRAGILE, FACET_SERVING_STATE=state)
        assert ended.load("crashing", crashing).status_code == 200
        with pytest.raises(httpx.TransportError):
            ended.invoke("crashing", WHITE)
        assert ended.process.wait(LONG) == -signal.SIGKILL
    survivor = start_container(FRAGILE, FACET_SERVING_STATE=state)
    answer = survivor.load("crashing", crashing)
    assert answer.status_code == 500
    assert re.fullmatch(
        r"Model crashing ended the container 2 times while it was computing "
        r"\(\d\d:\d\d:\d\d UTC, \d\d:\d\d:\d\d UTC\)\. It is refused until \d\d:\d\d:\d\d UTC\. "
        r"Upload a corrected version, or try again after that time\.",
        answer.json()["error"],
    )
    assert "cannot load model crashing (crashing): Model crashing ended" in survivor.log.read_text()
    assert survivor.load("classifier", artifacts / "classifier").status_code == 200
    assert survivor.invoke("classifier", WHITE).status_code == 200


def test_refuses_a_model_that_ended_the_process_twice_while_loading(
    start_container: StartContainer, artifacts: Path, tmp_path: Path
) -> None:
    state = str(tmp_path / "state")
    for _ in range(2):
        ended = start_container(FACET_SERVING_STATE=state)
        with pytest.raises(httpx.TransportError):
            ended.load("abort", artifacts / "abort")
        assert ended.process.wait(LONG) == -signal.SIGABRT
        assert "on purpose" in ended.log.read_text()
    survivor = start_container(FACET_SERVING_STATE=state)
    answer = survivor.load("abort", artifacts / "abort")
    assert answer.status_code == 500
    assert answer.json()["error"].startswith(
        "Model abort ended the container 2 times while it was loading ("
    )
    assert "cannot load model abort (abort): Model abort ended" in survivor.log.read_text()
    assert survivor.load("plain", artifacts / "plain").status_code == 200
    assert survivor.invoke("plain", PIXELS).status_code == 200


def test_an_unwritable_state_folder_is_one_warning(
    start_container: StartContainer, artifacts: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    container = start_container(FACET_SERVING_STATE=str(tmp_path / "file" / "state"))
    for name in ("one", "two"):
        assert container.load(name, artifacts / "classifier").status_code == 200
    assert container.log.read_text().count("models that end the process will not be refused") == 1


@pytest.mark.parametrize("name", ["hungry-lite", "hungry"])
@pytest.mark.parametrize("gigabytes", [12, 100])
def test_an_inference_without_enough_memory_is_500(
    container: ContainerProcess, artifacts: Path, name: str, gigabytes: int
) -> None:
    answer = container.load(name, artifacts / name)
    assert answer.status_code == 200, answer.text
    answer = container.invoke(name, {"instances": [gigabytes * GIGABYTE // 4000]})
    assert answer.status_code == 500
    assert "OOM when allocating" in answer.text or "(FILL) failed to invoke" in answer.text
    assert container.invoke(name, {"instances": [2]}).json()["predictions"][0] > 0
    assert container.http.delete(f"/models/{name}").status_code == 200


@pytest.mark.parametrize("name", ["greedy-lite", "greedy"])
def test_a_load_without_enough_memory_is_500(
    container: ContainerProcess, artifacts: Path, name: str
) -> None:
    answer = container.load(name, artifacts / name)
    assert answer.status_code == 500
    assert "OOM when allocating" in answer.text or "no memory" in answer.text
    assert f"cannot load model {name} ({name}): " in container.log.read_text()
    assert container.http.get(f"/models/{name}").status_code == 404


def run(
    container: ContainerProcess, scenario: Callable[[httpx.AsyncClient], Awaitable[None]]
) -> None:
    async def bounded() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=container.url, limits=limits, trust_env=False, timeout=LONG
        ) as http:
            await asyncio.wait_for(scenario(http), LONG)

    asyncio.run(bounded())


@pytest.mark.parametrize("source", ["classifier", "plain"])
def test_two_hundred_clients_load_a_cold_model_once(
    container: ContainerProcess, artifacts: Path, source: str
) -> None:
    name = f"cold-{source}"

    async def client(http: httpx.AsyncClient) -> tuple[int, int]:
        body = {"model_name": name, "url": str(artifacts / source)}
        loaded = await http.post("/models", json=body)
        invoked = await http.post(f"/models/{name}/invoke", json=PIXELS)
        return loaded.status_code, invoked.status_code

    async def scenario(http: httpx.AsyncClient) -> None:
        assert (await http.post(f"/models/{name}/invoke", json=PIXELS)).status_code == 404
        answers = await asyncio.gather(*(client(http) for _ in range(200)))
        assert sorted(answers) == [(200, 200)] + [(409, 200)] * 199

    run(container, scenario)
    assert container.log.read_text().count(f"loaded model {name} ") == 1
    assert container.http.delete(f"/models/{name}").status_code == 200


def test_unload_waits_for_fifty_requests(
    container: ContainerProcess, artifacts: Path, tmp_path: Path
) -> None:
    """Each request stays in its model until there is a file."""
    file = tmp_path / "file"
    assert container.load("waiting", artifacts / "waiting").status_code == 200

    async def some_turns(http: httpx.AsyncClient) -> None:
        """Give requests sent earlier time to reach the model."""
        for _ in range(20):
            assert (await http.get("/ping")).status_code == 200

    async def scenario(http: httpx.AsyncClient) -> None:
        body = {"instances": [str(file)]}
        requests = [
            asyncio.create_task(http.post("/models/waiting/invoke", json=body)) for _ in range(50)
        ]
        await some_turns(http)
        unload = asyncio.create_task(http.delete("/models/waiting"))
        await some_turns(http)
        assert not any(each.done() for each in [*requests, unload])
        file.touch()
        answers = await asyncio.gather(*requests)
        assert [each.status_code for each in answers] == [200] * 50
        assert (await unload).status_code == 200

    run(container, scenario)
    assert container.http.get("/models/waiting").status_code == 404


def held(process: int) -> tuple[int, int, int]:
    """Open files, threads, and resident bytes of a process."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text().split()[1])
    files = [each for each in (folder / "fd").iterdir() if not is_socket(each)]
    return len(files), len(list((folder / "task").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")


def is_socket(file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISSOCK(file.stat().st_mode)
    return True


@linux
@pytest.mark.parametrize(
    ("source", "warm", "cycles", "growth"),
    [
        ("classifier", 50, 200, 2_000_000),
        ("large", 50, 200, 32_000_000),
        ("plain", 10, 10, 20_000_000),
    ],
)
def test_loading_and_unloading_leaks_nothing(
    container: ContainerProcess, artifacts: Path, source: str, warm: int, cycles: int, growth: int
) -> None:
    """growth: bytes. Measured: 0, 15 MB (a block of 5 MB that the C library keeps for each of a few
    threads, whatever the cycles), and 0.5 MB."""
    side = 64 if source == "large" else 8
    body = {"instances": [{"image": {"b64": base64.b64encode(bytes(side * side * 3)).decode()}}]}

    def cycle() -> None:
        assert container.load("again", artifacts / source).status_code == 200
        assert container.invoke("again", body).status_code == 200
        assert container.http.delete("/models/again").status_code == 200

    for _ in range(warm):
        cycle()
    files, threads, resident = held(container.process.pid)
    for _ in range(cycles):
        cycle()
    files_after, threads_after, resident_after = held(container.process.pid)
    assert files_after <= files
    assert threads_after - threads < cycles / 2, "pools grow to their size, not with each cycle"
    assert resident_after - resident < growth
