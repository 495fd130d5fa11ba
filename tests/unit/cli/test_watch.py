"""`facet watch` waits until an upload is READY or REJECTED."""

import json
from dataclasses import replace
from itertools import count
from operator import attrgetter
from typing import Any

import pytest

from cli.terminal.output import Output
from cli.watch import (
    UploadRemoved,
    UploadState,
    WatchTarget,
    WatchTimeout,
    print_version,
    wait_until_settled,
)
from facet.errors import UnknownModel, UnknownVersion
from facet.registry.models import Model, Place, Status, Version
from tests.support.versions import NOW, VIOLATION, pending, ready, rejected

ID = f"{1:012x}"
BEFORE = rejected(1)
RETIRED = replace(ready(1), status=Status.RETIRED)
WAITS = replace(pending(1), postponed_at=NOW, object_version="a", litert_size=0)
AGAIN = replace(BEFORE, updated_at="2026-03-01T00:00:00.000+00:00")


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (WatchTarget("cifar"), UploadState(None, True)),
        (WatchTarget("cifar"), UploadState(ready(1), True)),
        (WatchTarget("cifar"), UploadState(pending(1), False)),
        (WatchTarget("cifar", ID), UploadState(None, True)),
        (WatchTarget("cifar", ID), UploadState(pending(1), True)),
        (WatchTarget("cifar", ID, uploaded=True), UploadState(RETIRED, True)),
        (WatchTarget("cifar", ID, BEFORE, uploaded=True), UploadState(BEFORE, True)),
        (WatchTarget("cifar"), UploadState(WAITS, True, "b")),
        (WatchTarget("cifar", ID, WAITS, uploaded=True), UploadState(WAITS, True, "a")),
    ],
)
def test_waits_while_the_result_is_open(target: WatchTarget, state: UploadState) -> None:
    assert target.settled(state) is None


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (WatchTarget("cifar"), UploadState(ready(1), False)),
        (WatchTarget("cifar", ID), UploadState(ready(1), True)),
        (WatchTarget("cifar", ID), UploadState(BEFORE, True)),
        (WatchTarget("cifar", ID), UploadState(RETIRED, False)),
        (WatchTarget("cifar"), UploadState(WAITS, True, "a")),
        (WatchTarget("cifar", ID, uploaded=True), UploadState(WAITS, True, "a")),
        (WatchTarget("cifar", ID, BEFORE, uploaded=True), UploadState(AGAIN, True)),
        (WatchTarget("cifar", ID, BEFORE, uploaded=True), UploadState(AGAIN, False)),
    ],
)
def test_returns_a_recorded_result(target: WatchTarget, state: UploadState) -> None:
    assert target.settled(state) is state.version


@pytest.mark.parametrize(
    ("target", "state", "error"),
    [
        (WatchTarget("cifar"), UploadState(None, False), UnknownModel),
        (WatchTarget("cifar", ID), UploadState(None, False), UnknownVersion),
        (WatchTarget("cifar", ID, uploaded=True), UploadState(None, False), UploadRemoved),
        (
            WatchTarget("cifar", ID, BEFORE, uploaded=True),
            UploadState(BEFORE, False),
            UploadRemoved,
        ),
    ],
)
def test_fails_if_there_is_nothing_to_wait_for(
    target: WatchTarget, state: UploadState, error: type[Exception]
) -> None:
    with pytest.raises(error):
        target.settled(state)


def test_the_newest_upload_may_be_of_bytes_that_were_ready_before() -> None:
    """A is READY, B is rejected, and then A is uploaded again: A is the newest upload."""
    first, second = ready(1), rejected(2)
    assert max(first, second, key=attrgetter("last_upload")) is second
    again = replace(first, again=second.order + "1")
    assert max(again, second, key=attrgetter("last_upload")) is again


class Time:
    """A clock that advances only in sleep."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def now(self) -> float:
        return sum(self.pauses)


def watched(*seen: UploadState, timeout: float = 100) -> tuple[Version, list[str], Time]:
    changes: list[str] = []
    time, states = Time(), iter(seen)
    found = wait_until_settled(
        lambda: next(states),
        WatchTarget("cifar", ID),
        timeout,
        on_change=changes.append,
        sleep=time.sleep,
        clock=time.now,
    )
    return found, changes, time


def test_reports_each_change_once() -> None:
    upload_pending, proving = UploadState(None, True), UploadState(pending(1), True)
    found, changes, time = watched(
        upload_pending, upload_pending, proving, proving, UploadState(ready(1), True)
    )
    assert found == ready(1)
    assert changes == ["the upload is being checked", f"{ID} is being proven where it runs"]
    assert time.pauses == sorted(time.pauses)
    assert len(time.pauses) == 4


def test_pauses_grow_and_end_at_the_timeout() -> None:
    with pytest.raises(WatchTimeout, match="being proven where it runs"):
        watched(*[UploadState(pending(1), True) for _ in range(1000)], timeout=900)
    time = Time()
    states = count()
    with pytest.raises(WatchTimeout):
        wait_until_settled(
            lambda: UploadState(pending(next(states)), True),
            WatchTarget("cifar", ID),
            900,
            on_change=lambda _: None,
            sleep=time.sleep,
            clock=time.now,
        )
    assert 880 < time.now() <= 900
    assert max(time.pauses) == 5


def test_says_why_an_upload_waits_for_the_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    print_version(Output(), Model("cifar"), WAITS)
    said = capsys.readouterr().out
    assert f"{ID}: PENDING, waits for the endpoint since" in said
    assert "no LiteRT model" in said
    assert "→ to use it without an endpoint, upload one with a LiteRT model" in said
    print_version(Output(as_json=True), Model("cifar"), WAITS)
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["postponed_at"]) == ("PENDING", NOW)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ({}, "READY (proof: smoke on the endpoint), and live"),
        (
            {"proven_in": {Place.FUNCTION: NOW, Place.ENDPOINT: NOW}},
            "READY (proof: smoke on the endpoint and in the function), and live",
        ),
        (
            {"not_proven": {Place.FUNCTION: (VIOLATION,)}},
            "and live\n  not in the function: there is none [no-manifest]\n",
        ),
    ],
)
def test_says_where_a_version_was_proven(
    capsys: pytest.CaptureFixture[str], version: dict[str, Any], said: str
) -> None:
    found = replace(ready(1), **version)
    print_version(Output(), Model("cifar", live=ID), found)
    assert said in capsys.readouterr().out
    print_version(Output(as_json=True), Model("cifar", live=ID), found)
    document = json.loads(capsys.readouterr().out)
    assert document["proven_in"] == {place.value: at for place, at in found.proven_in.items()}
    assert document["not_proven"].keys() == {place.value for place in found.not_proven}
