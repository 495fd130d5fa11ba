"""Hosts of one job: connecting, averaging, gathering, and losing a host."""

import json
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from tests.support.processes.waiting import LONG
from training.fitting import workers
from training.fitting.workers import SingleHost, WorkerLost, Workers, join

Answer = TypeVar("Answer")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def together(count: int, work: Callable[[Workers], Answer]) -> list[Answer | Exception]:
    """Runs `work` on `count` hosts of one job; their results by rank."""
    hosts = [f"algo-{number + 1}" for number in range(count)]
    addresses = json.dumps({hosts[0]: f"127.0.0.1:{free_port()}"})
    answers: dict[str, Answer | Exception] = {}

    def run(host: str) -> None:
        environment = {
            "SM_HOSTS": json.dumps(hosts),
            "SM_CURRENT_HOST": host,
            "FACET_WORKER_ADDRESSES": addresses,
            "TRAINING_JOB_NAME": "job",
        }
        try:
            answers[host] = work(join(environment))
        except WorkerLost as error:
            answers[host] = error

    threads = [threading.Thread(target=run, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    return [answers[host] for host in hosts]


def test_a_single_host_needs_no_connections() -> None:
    single = join({"SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"})
    assert isinstance(single, SingleHost)
    assert isinstance(join({}), SingleHost)
    assert single.all_gather(b"x") == [b"x"]


def test_three_hosts_get_the_same_mean() -> None:
    def work(hosts: Workers) -> list[float]:
        values = np.array([[hosts.rank, 10 * hosts.rank]], np.float32)
        assert hosts.count == 3
        hosts.all_reduce_mean(values + 1)
        return hosts.all_reduce_mean(values).ravel().tolist()

    assert together(3, work) == [[1.0, 10.0]] * 3


def test_all_gather_returns_all_contents_by_rank() -> None:
    def work(hosts: Workers) -> list[bytes]:
        return hosts.all_gather(b"from %d" % hosts.rank)

    assert together(3, work) == [[b"from 0", b"from 1", b"from 2"]] * 3


def test_a_lost_host_raises_worker_lost() -> None:
    def work(hosts: Workers) -> object:
        if hosts.rank == 1:
            hosts._coordinator.close()  # type: ignore[attr-defined]
            return "closed"
        return hosts.all_reduce_mean(np.ones(3, np.float32))

    lost, closed = together(2, work)
    assert isinstance(lost, WorkerLost)
    assert closed == "closed"


@pytest.mark.parametrize(
    ("host", "message"), [("algo-2", "cannot be reached"), ("algo-1", "1 of 2 hosts connected")]
)
def test_a_host_times_out_if_others_do_not_connect(
    monkeypatch: pytest.MonkeyPatch, host: str, message: str
) -> None:
    monkeypatch.setattr(workers, "CONNECT_SECONDS", 0.1)
    environment = {
        "SM_HOSTS": '["algo-1", "algo-2"]',
        "SM_CURRENT_HOST": host,
        "FACET_WORKER_ADDRESSES": json.dumps({"algo-1": f"127.0.0.1:{free_port()}"}),
    }
    with pytest.raises(WorkerLost, match=message):
        join(environment)
