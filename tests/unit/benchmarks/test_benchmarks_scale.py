"""Ten thousand models: each has its own answers, and the report has the right numbers."""

import asyncio
import base64
import io
import os
import re
import tarfile
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from benchmarks.file_server import file_server
from benchmarks.scale.__main__ import watch
from benchmarks.scale.direct import Direct, platform
from benchmarks.scale.synthetic_models import PATH, SyntheticModels, find_biases
from benchmarks.scale.tables import Memory, Run, cold, first, loads_of, report, shares
from benchmarks.scale.traffic import Answers, Plan, target, traffic, zipf
from benchmarks.serving.load import Connection, WrongAnswer, request

BIASES = np.array([1, 2, 3], np.float32)
MODEL = b"before" + BIASES.tobytes() + b"after"
SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
FAMILY = SyntheticModels(MODEL, 6, SCORES)
PIXELS = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
MEMORY = [(9.0, 10**9), (10.0, 10**9), (10.2, 2 * 10**9), (10.3, 3 * 10**9)]
PLAN = Plan(models=5, seconds=0.2, clients=3, memory=2_000_000_000)


def member(artifact: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as archive:
        assert archive.getnames() == [PATH]
        file = archive.extractfile(PATH)
        assert file is not None
        return file.read()


def test_an_artifact_has_its_own_biases() -> None:
    artifacts = FAMILY.artifacts()
    for number in (0, 7):
        biases = FAMILY.biases(number)
        assert member(artifacts.artifact(number)) == b"before" + biases.tobytes() + b"after"
    assert not np.array_equal(FAMILY.biases(0), FAMILY.biases(7))


def test_expected_answers_follow_from_the_biases() -> None:
    logits = np.log(SCORES)
    for number, expected in zip((0, 7), FAMILY.expected((0, 7)), strict=True):
        raised = np.exp(logits + FAMILY.biases(number))
        np.testing.assert_allclose(expected, raised / raised.sum(1, keepdims=True), rtol=1e-5)


def test_rejects_biases_that_do_not_occur_exactly_once() -> None:
    assert find_biases(MODEL, BIASES) == 6
    for model in (b"nothing", MODEL + MODEL):
        with pytest.raises(ValueError, match="occur"):
            find_biases(model, BIASES)


def test_requests_follow_zipfs_law() -> None:
    models = zipf(1000, 200_000, seed=1)
    counts = np.sort(np.bincount(models, minlength=1000))[::-1]
    total = (1 / np.arange(1, 1001)).sum()
    for rank in (1, 2, 5, 10):
        assert counts[rank - 1] / 200_000 == pytest.approx(1 / rank / total, rel=0.1)
    assert len(np.unique(models)) > 950
    assert not np.array_equal(zipf(1000, 100, seed=1), zipf(1000, 100, seed=2))


class Endpoint(asyncio.Protocol):
    """Answers as the synthetic models would; the model `wrong` gives another model's answer."""

    expected = FAMILY.expected(range(PLAN.models))
    wrong: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        match = re.search(rb"Target-Model: m(\d+)\.tar\.gz", head)
        assert match is not None
        number = int(match[1])
        image = base64.b64decode(orjson.loads(body)["instances"][0]["image"]["b64"])
        index = [each.tobytes() for each in PIXELS].index(image)
        says = (number + 1) % PLAN.models if number == self.wrong else number
        scores = self.expected[says, index].tolist()
        answer = orjson.dumps({"predictions": [scores]})
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer
        )


def drive(wrong: int | None) -> Answers:
    class Chosen(Endpoint):
        pass

    Chosen.wrong = wrong

    async def scenario() -> Answers:
        server = await asyncio.get_running_loop().create_server(Chosen, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await traffic(port, PLAN, Endpoint.expected, PIXELS)

    return asyncio.run(scenario())


def test_each_answer_is_compared_with_its_models() -> None:
    answers = drive(wrong=None)
    assert answers.errors == []
    assert set(answers.models) <= set(range(PLAN.models))
    assert len(answers.models) == len(answers.sent) == len(answers.seconds) >= PLAN.clients
    assert (answers.seconds > 0).all()
    wrong = int(answers.models[0])
    answers = drive(wrong)
    assert wrong not in answers.models
    assert answers.errors
    assert all(each.startswith(f"{target(wrong)}: ") for each in answers.errors)


def answered(*each: tuple[int, float, float]) -> Answers:
    models, sent, seconds = zip(*each, strict=True)
    return Answers(np.array(models), np.array(sent), np.array(seconds), [])


def test_answers_are_cold_if_their_model_was_loaded_meanwhile() -> None:
    answers = answered((1, 10.0, 0.5), (2, 10.0, 0.5), (1, 11.0, 0.1), (1, 12.0, 0.5))
    loads = [(1, 12.2), (1, 10.4), (2, 10.6), (3, 11.05)]
    assert cold(answers, loads).tolist() == [True, False, False, True]
    assert first(answers).tolist() == [True, True, False, False]
    assert first(answered((1, 11.0, 0.1), (1, 10.0, 0.1))).tolist() == [False, True]


def test_reads_loads_from_the_containers_log() -> None:
    second = time.mktime(time.strptime("2026-11-25 02:03:04", "%Y-%m-%d %H:%M:%S"))
    log = (
        "2026-11-25 02:03:04,250 INFO serving.models loaded model ab12 (m00042.tar.gz): version 1 "
        "on litert, 0.8 MB in 2 ms\n"
        "2026-11-25 02:03:05,000 INFO serving.models unloaded model ab12 (m00042.tar.gz)\n"
    )
    assert loads_of(log) == [(42, second + 0.25)]


def run_of(answers: Answers) -> Run:
    return Run(
        answers,
        memory=[Memory(at, 4 * size, size) for at, size in MEMORY],
        metrics={"ModelCacheHit": {"Sum": 3, "SampleCount": 4}},
        loads=[(1, 10.05), (2, 10.05)],
        loaded=2,
        container=0.008,
        endpoint=0.02,
    )


def test_the_report() -> None:
    answers = answered((1, 10.0, 0.1), (1, 10.2, 0.002), (1, 10.25, 0.004), (2, 10.3, 0.006))
    lines = report(PLAN, run_of(answers))
    assert lines[0] == "5 models, 3 clients, 0 seconds, 4 requests, 2 GB for loaded models."
    for line in (
        "| warm | 75.0% | 4.00 | 6.00 |",
        "| cold, unpacked on disk | 0 % | | |",
        "| cold, in S3 | 25.0% | 100.00 | 100.00 |",
        "| all | 100.0% | 4.00 | 100.00 |",
        "| requests with the model loaded (`ModelCacheHit`) | 75.0% |",
        "| the container's private memory in the second half | 2,000 to 3,000 MB |",
        "| with the files that it maps | 8,000 to 12,000 MB |",
        "| errors, wrong answers | 0 |",
    ):
        assert line in lines
    failed = report(PLAN, run_of(replace(answers, errors=["m00001.tar.gz: status 500"])))
    assert "| errors, wrong answers | 1 |" in failed
    assert failed[-1] == "The first error: m00001.tar.gz: status 500"


def test_the_container_itself_beside_the_local_endpoint() -> None:
    answers = answered((1, 10.0, 0.1), (1, 10.2, 0.002), (1, 10.25, 0.004), (2, 10.3, 0.006))
    direct = answered((1, 10.0, 0.001), (2, 10.1, 0.003))
    lines = shares(run_of(answers), Direct(direct, processor_seconds=0.004, loads=7, loaded=3))
    assert (
        "| through the local endpoint | 13 | 20 | 4.00 / 100.00 | 2 | 2 | 0 | 2.00 | 5.00 |"
        in lines
    )
    assert "| the container itself | 20 | 20 | 1.00 / 3.00 | 7 | 3 | 0 | 2.00 |  |" in lines


def test_samples_memory_until_the_end() -> None:
    future: Future[Answers] = Future()
    future.set_result(answered((1, 10.0, 0.1)))
    (memory,) = watch(os.getpid(), future)
    assert memory.at == pytest.approx(time.time(), abs=60)
    assert memory.resident > memory.private > 10_000_000


def test_the_file_server_replaces_s3(tmp_path: Path) -> None:
    from urllib.request import urlopen

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "one").write_bytes(b"content")
    with file_server(tmp_path) as url, urlopen(f"{url}/models/one?X-Amz-Signature=1") as answer:
        assert answer.read() == b"content"


class Container(Connection):
    """Has room for two models; a load of a third is answered 507."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.calls: list[str] = []

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._answer_to(request))

    async def _answer_to(self, request: bytes) -> bytes:
        head, _, body = request.decode().partition("\r\n\r\n")
        method, path, _ = head.split("\r\n")[0].split()
        await asyncio.sleep(0)
        if path == "/models":
            name = orjson.loads(body)["model_name"]
            self.calls.append(f"load {name}")
            assert name not in self.loaded
            if len(self.loaded) == 2:
                raise WrongAnswer("status 507: Memory exhausted")
            self.loaded.add(name)
        elif method == "DELETE":
            self.calls.append(f"unload {path.split('/')[2]}")
            self.loaded.remove(path.split("/")[2])
        else:
            assert path.split("/")[2] in self.loaded
        return b"answer"


def test_the_clients_make_room_in_the_container_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        container, models = Container(), platform(tmp_path)

        async def invoke(model: int) -> bytes:
            name = target(model)
            return await models.send(
                container, name, request("POST", f"/models/{name}/invoke", b"{}")
            )

        for model in (1, 2, 1, 3):
            assert await invoke(model) == b"answer"
        one, two, three = map(target, (1, 2, 3))
        assert container.calls == [
            *(f"load {one}", f"load {two}", f"load {three}", f"unload {two}", f"load {three}"),
        ]
        assert (models.loads, len(models)) == (3, 2)
        assert await asyncio.gather(*map(invoke, (3, 3, 1, 3))) == [b"answer"] * 4
        assert models.loads == 3

    asyncio.run(scenario())


def test_a_models_file_is_the_one_in_its_artifact() -> None:
    assert FAMILY.file(7) == member(FAMILY.artifacts().artifact(7))
