"""What holds of a model's alias whatever is done to it, in any order, by two writers at once."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from facet.errors import FacetError
from facet.registry.models import Mode, Model, Policy, Status, Version
from facet.registry.releases import Releases
from facet.registry.store import Registry
from tests.support.aws.memory_table import memory_table
from tests.support.versions import NOW, VIOLATION, overtaken

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Operation = Callable[["Table"], object]
MODEL = "cifar"
IDS = [f"{number:012x}" for number in range(4)]
CLOCK = itertools.count(1)


def version(identity: str, second: int, status: Status = Status.PENDING) -> Version:
    uploaded = f"2026-01-01T00:00:{second:09}+00:00"
    violations = (VIOLATION,) if status is Status.REJECTED else ()
    return Version(
        MODEL, identity, status, identity, 1, uploaded, NOW, proof="smoke", violations=violations
    )


def accept(identity: str, late: bool) -> Operation:
    """Onboards an upload, whose event arrives `late` or in order."""

    def operation(table: "Table") -> None:
        second = 0 if late else next(CLOCK)
        Registry(table).begin(version(identity, second))
        Releases(table).accept(version(identity, second, Status.READY))

    return operation


def reject(identity: str) -> Operation:
    return lambda table: Registry(table).reject(version(identity, 0, Status.REJECTED))


def promote(identity: str) -> Operation:
    return lambda table: Releases(table).promote(MODEL, identity, NOW)


def rollback(table: "Table") -> object:
    return Releases(table).rollback(MODEL, NOW)


def clear(table: "Table") -> object:
    return Releases(table).clear(MODEL, NOW)


def set_policy(mode: Mode) -> Operation:
    return lambda table: Releases(table).set_policy(MODEL, Policy(mode), NOW)


def conclude(promoted: bool) -> Operation:
    def operation(table: "Table") -> None:
        registry = Registry(table)
        Releases(table).conclude(registry.model(MODEL), promoted=promoted, now=NOW)

    return operation


def retire(identity: str) -> Operation:
    def operation(table: "Table") -> None:
        if found := Registry(table).find(MODEL, identity):
            Releases(table).retire(found, NOW)

    return operation


def withdraw(identity: str) -> Operation:
    def operation(table: "Table") -> None:
        if found := Registry(table).find(MODEL, identity):
            Releases(table).withdraw(found, NOW)

    return operation


identities = st.sampled_from(IDS)
endings = st.one_of(identities.map(withdraw), st.just(clear))
operations = st.one_of(
    st.builds(accept, identities, st.just(False)),
    st.builds(accept, identities, st.booleans()),
    identities.map(reject),
    identities.map(promote),
    st.just(rollback),
    st.sampled_from([Mode.AUTO, Mode.MANUAL, Mode.CANARY, Mode.CANARY]).map(set_policy),
    st.booleans().map(conclude),
    identities.map(retire),
)


class AliasMachine(RuleBasedStateMachine):
    """Two writers' operations on one model, the second coming in after a read of the first."""

    def __init__(self) -> None:
        super().__init__()
        self._table = memory_table()
        self._registry = Registry(self._table)
        self._registry.begin(version(IDS[0], 0))
        self._lived = False

    @rule(operation=operations)
    def alone(self, operation: Operation) -> None:
        self._do(operation, self._table)

    @rule(operation=endings)
    def ending(self, operation: Operation) -> None:
        before = self._model().live
        self._do(operation, self._table)
        if before and self._model().live is None and operation is not clear:
            assert not self._ready()
        self._lived = self._model().live is not None

    @rule(first=operations, second=operations, reads=st.integers(1, 3))
    def together(self, first: Operation, second: Operation, reads: int) -> None:
        self._do(first, overtaken(self._table, reads, lambda: self._do(second, self._table)))

    @rule(first=operations, ending=endings, reads=st.integers(1, 3))
    def together_with_an_ending(self, first: Operation, ending: Operation, reads: int) -> None:
        self._do(first, overtaken(self._table, reads, lambda: self._do(ending, self._table)))
        self._lived = self._model().live is not None

    @rule(first=endings, second=operations, reads=st.integers(1, 3))
    def an_ending_together(self, first: Operation, second: Operation, reads: int) -> None:
        self._do(first, overtaken(self._table, reads, lambda: self._do(second, self._table)))
        self._lived = self._model().live is not None

    def _do(self, operation: Operation, table: "Table") -> None:
        try:
            operation(table)
        except FacetError:
            return

    def _model(self) -> Model:
        return self._registry.model(MODEL)

    def _ready(self) -> set[str]:
        versions = self._registry.versions(MODEL)
        return {each.id for each in versions if each.status is Status.READY}

    @invariant()
    def what_answers_is_proven(self) -> None:
        model, ready = self._model(), self._ready()
        candidate = model.canary and model.canary.candidate
        for each in (model.live, model.previous, candidate):
            assert each is None or each in ready
        assert model.live is None or model.live not in (model.previous, candidate)
        assert model.live or not candidate
        assert model.rolled_back not in (model.live or "none", candidate or "none")

    @invariant()
    def once_live_always_live(self) -> None:
        live = self._model().live
        assert live or not self._lived
        self._lived = live is not None


def test_whatever_the_order_a_proven_version_stays_live() -> None:
    run_state_machine_as_test(
        AliasMachine, settings=settings(max_examples=200, stateful_step_count=30, deadline=None)
    )
