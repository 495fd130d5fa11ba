"""Data-parallel training on several hosts: each computes its share of every batch, and gradients
are averaged.

TensorFlow's MultiWorkerMirroredStrategy does not work with Keras 3 (keras-team/keras #20585), and
its servers listen on every interface without authentication. Here the first host averages, over
the standard library's authenticated connections.
"""

import hashlib
import json
import socket
import time
from collections.abc import Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facet.errors import FacetError

PORT = 29_400
"""The port on SageMaker, where the hosts of a job can reach each other on every port."""

CONNECT_SECONDS = 600.0
"""How long hosts wait for each other. Instances of one job start minutes apart."""


class WorkerLost(FacetError):
    """Another host of the job did not connect, or its connection ended."""


class Workers(Protocol):
    """The hosts of one job, seen from one of them. Rank 0, the first of `SM_HOSTS`, coordinates."""

    rank: int
    count: int

    def all_reduce_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean over all hosts of arrays of one shape, bit by bit the same on every host.

        Raises WorkerLost, as does `all_gather`.
        """
        ...

    def all_gather(self, content: bytes) -> list[bytes]:
        """The contents of all hosts, by rank."""
        ...


class SingleHost:
    """The only host of a job."""

    rank = 0
    count = 1

    def all_reduce_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values

    def all_gather(self, content: bytes) -> list[bytes]:
        return [content]


class Coordinator:
    """The first host: receives from all workers, computes, and sends the result back."""

    rank = 0

    def __init__(self, workers: list[Connection]) -> None:
        self._workers = workers
        self.count = len(workers) + 1

    def all_reduce_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        total = values.copy()
        for worker in self._workers:
            total += np.frombuffer(_receive(worker), np.float32).reshape(values.shape)
        total /= self.count
        self._broadcast(total.tobytes())
        return total

    def all_gather(self, content: bytes) -> list[bytes]:
        contents = [content, *(_receive(worker) for worker in self._workers)]
        for gathered in contents:
            self._broadcast(gathered)
        return contents

    def _broadcast(self, content: bytes) -> None:
        for worker in self._workers:
            _send(worker, content)


class Worker:
    """Any host but the first: sends to the coordinator and receives the result."""

    def __init__(self, coordinator: Connection, rank: int, count: int) -> None:
        self._coordinator = coordinator
        self.rank = rank
        self.count = count

    def all_reduce_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        _send(self._coordinator, values.tobytes())
        return np.frombuffer(_receive(self._coordinator), np.float32).reshape(values.shape)

    def all_gather(self, content: bytes) -> list[bytes]:
        _send(self._coordinator, content)
        return [_receive(self._coordinator) for _ in range(self.count)]


def join(environment: Mapping[str, str]) -> Workers:
    """Connects the hosts that `SM_HOSTS` names; this one is `SM_CURRENT_HOST`.

    If several hosts run on one machine, `FACET_WORKER_ADDRESSES` replaces host names: a JSON object
    from host to "address:port". Raises WorkerLost.
    """
    hosts = sorted(json.loads(environment.get("SM_HOSTS", "[]")))
    if len(hosts) < 2:
        return SingleHost()
    rank = hosts.index(environment["SM_CURRENT_HOST"])
    addresses = json.loads(environment.get("FACET_WORKER_ADDRESSES", "{}"))
    name, _, port = addresses.get(hosts[0], f"{hosts[0]}:{PORT}").rpartition(":")
    key = hashlib.sha256(environment.get("TRAINING_JOB_NAME", "").encode()).digest()
    deadline = time.monotonic() + CONNECT_SECONDS
    if rank == 0:
        return Coordinator(_accept_workers(name, int(port), key, len(hosts), deadline))
    return Worker(_connect(name, int(port), key, rank, deadline), rank, len(hosts))


def _accept_workers(
    name: str, port: int, key: bytes, count: int, deadline: float
) -> list[Connection]:
    """The workers' connections, by rank."""
    workers: dict[int, Connection] = {}
    with Listener((socket.gethostbyname(name), port), backlog=count, authkey=key) as listener:
        # Listener has no timeout of its own.
        listener._listener._socket.settimeout(1.0)  # type: ignore[attr-defined]
        while len(workers) < count - 1:
            if time.monotonic() > deadline:
                raise WorkerLost(
                    f"Only {len(workers) + 1} of {count} hosts connected; the job cannot start."
                )
            try:
                worker = listener.accept()
            except (TimeoutError, AuthenticationError, EOFError, ConnectionError):
                continue
            workers[int(_receive(worker))] = worker
    return [workers[rank] for rank in sorted(workers)]


def _connect(name: str, port: int, key: bytes, rank: int, deadline: float) -> Connection:
    while True:
        try:
            coordinator = Client((socket.gethostbyname(name), port), authkey=key)
        except (OSError, EOFError) as error:
            if time.monotonic() > deadline:
                raise WorkerLost(f"The first host, {name}, cannot be reached: {error}.") from error
            time.sleep(0.5)
            continue
        _send(coordinator, str(rank).encode())
        return coordinator


def _send(host: Connection, content: bytes) -> None:
    try:
        host.send_bytes(content)
    except OSError as error:
        raise WorkerLost(
            "The connection to another host of this job ended; see its log."
        ) from error


def _receive(host: Connection) -> bytes:
    try:
        return host.recv_bytes()
    except (EOFError, OSError) as error:
        raise WorkerLost(
            "The connection to another host of this job ended; see its log."
        ) from error
