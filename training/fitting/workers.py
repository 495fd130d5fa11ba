"""Several hosts train one network: each computes its share of every batch, gradients are averaged.

TensorFlow's MultiWorkerMirroredStrategy does not work under Keras 3 (keras-team/keras #20585), and
its servers listen on every interface without asking who calls. Here the first host averages, over
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
"""On SageMaker, where the hosts of a job reach each other on every port."""

CONNECT_SECONDS = 600.0
"""How long hosts wait for each other; instances of one job start minutes apart."""


class WorkerLost(FacetError):
    """Another host of the job has gone or never came."""


class Workers(Protocol):
    """The hosts of one job, in the order of `SM_HOSTS`; the first is the chief."""

    rank: int
    count: int

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean over all hosts of arrays of one shape; each host gets the same bits."""
        ...

    def exchange(self, content: bytes) -> list[bytes]:
        """What every host gave, in their order."""
        ...


class SingleHost:
    """A job on one host."""

    rank = 0
    count = 1

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values

    def exchange(self, content: bytes) -> list[bytes]:
        return [content]


class Coordinator:
    """The first host: the others send to it, it answers."""

    rank = 0

    def __init__(self, others: list[Connection]) -> None:
        self._others = others
        self.count = len(others) + 1

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        total = values.copy()
        for other in self._others:
            total += np.frombuffer(_receive(other), np.float32).reshape(values.shape)
        total /= self.count
        self._answer(total.tobytes())
        return total

    def exchange(self, content: bytes) -> list[bytes]:
        contents = [content, *(_receive(other) for other in self._others)]
        for each in contents:
            self._answer(each)
        return contents

    def _answer(self, content: bytes) -> None:
        for other in self._others:
            _send(other, content)


class Follower:
    """Every other host."""

    def __init__(self, chief: Connection, rank: int, count: int) -> None:
        self._chief = chief
        self.rank = rank
        self.count = count

    def mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        _send(self._chief, values.tobytes())
        return np.frombuffer(_receive(self._chief), np.float32).reshape(values.shape)

    def exchange(self, content: bytes) -> list[bytes]:
        _send(self._chief, content)
        return [_receive(self._chief) for _ in range(self.count)]


def join(environment: Mapping[str, str]) -> Workers:
    """Meets the other hosts that `SM_HOSTS` names; this one is `SM_CURRENT_HOST`.

    `FACET_WORKER_ADDRESSES`, a JSON object host → "address:port", stands in for host names on a
    machine that runs several hosts. Raises WorkerLost.
    """
    hosts = sorted(json.loads(environment.get("SM_HOSTS", "[]")))
    if len(hosts) < 2:
        return SingleHost()
    rank = hosts.index(environment["SM_CURRENT_HOST"])
    given = json.loads(environment.get("FACET_WORKER_ADDRESSES", "{}"))
    name, _, port = given.get(hosts[0], f"{hosts[0]}:{PORT}").rpartition(":")
    key = hashlib.sha256(environment.get("TRAINING_JOB_NAME", "").encode()).digest()
    deadline = time.monotonic() + CONNECT_SECONDS
    if rank == 0:
        return Coordinator(_gather(name, int(port), key, len(hosts), deadline))
    return Follower(_find(name, int(port), key, rank, deadline), rank, len(hosts))


def _gather(name: str, port: int, key: bytes, count: int, deadline: float) -> list[Connection]:
    """The others' connections, by rank."""
    found: dict[int, Connection] = {}
    with Listener((socket.gethostbyname(name), port), backlog=count, authkey=key) as listener:
        # Listener has no timeout of its own.
        listener._listener._socket.settimeout(1.0)  # type: ignore[attr-defined]
        while len(found) < count - 1:
            if time.monotonic() > deadline:
                raise WorkerLost(f"{len(found) + 1} of {count} hosts came; the job cannot start.")
            try:
                other = listener.accept()
            except (TimeoutError, AuthenticationError, EOFError, ConnectionError):
                continue
            found[int(_receive(other))] = other
    return [found[rank] for rank in sorted(found)]


def _find(name: str, port: int, key: bytes, rank: int, deadline: float) -> Connection:
    while True:
        try:
            chief = Client((socket.gethostbyname(name), port), authkey=key)
        except (OSError, EOFError) as error:
            if time.monotonic() > deadline:
                raise WorkerLost(f"The first host, {name}, cannot be reached: {error}.") from error
            time.sleep(0.5)
            continue
        _send(chief, str(rank).encode())
        return chief


def _send(other: Connection, content: bytes) -> None:
    try:
        other.send_bytes(content)
    except OSError as error:
        raise WorkerLost("Another host of this job has gone; its log says why.") from error


def _receive(other: Connection) -> bytes:
    try:
        return other.recv_bytes()
    except (EOFError, OSError) as error:
        raise WorkerLost("Another host of this job has gone; its log says why.") from error
