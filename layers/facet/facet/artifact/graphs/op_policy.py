"""Which graphs and LiteRT files are let in: policy, from what `graph` and `litert` read.

Screened, not safe: TensorFlow itself says that a model from a stranger is a program.
"""

from collections.abc import Iterator
from itertools import islice

from facet.artifact.graphs import graph as graphs
from facet.artifact.graphs import litert as lite
from facet.artifact.graphs.graph import MetaGraph
from facet.artifact.graphs.ops import ALLOWED, SAVE_RESTORE, WRITES_VARIABLES
from facet.artifact.graphs.reachability import Use, everything, reached, reads_elsewhere, uses
from facet.artifact.graphs.saved_model import UnreadableSavedModel
from facet.errors import Violation

MOST = 100
"""Violations of one file; more than a report shows."""

LONG = 200
"""Characters of a name in a violation."""


def graph(place: str, saved_model: bytes, more: frozenset[str]) -> Iterator[Violation]:
    """What of a `saved_model.pb` no classifier needs: one violation per function and kind of op.

    `place` is the file's name; `more` are ops that the operator allows beyond the allow-list.
    """
    yield from islice(_graph(place, saved_model, more), MOST)


def litert(place: str, model: lite.Buffer) -> Iterator[Violation]:
    """What of a LiteRT file the runtime does not bring itself: one violation per kind of op."""
    yield from islice(_litert(place, model), MOST)


def _graph(place: str, saved_model: bytes, more: frozenset[str]) -> Iterator[Violation]:
    try:
        for number, found in enumerate(graphs.graphs(saved_model)):
            where = (
                f"{place}: meta graph '{_cut(','.join(found.tags))}'," if number else f"{place}:"
            )
            yield from _screened(where, found, more)
    except UnreadableSavedModel as error:
        yield unreadable(place, error)


def unreadable(place: str, error: UnreadableSavedModel) -> Violation:
    """What is said of a `saved_model.pb` that nobody can read."""
    return Violation(
        "saved-model-unreadable", place, str(error), "export it again with tf.saved_model.save"
    )


def _screened(where: str, found: MetaGraph, more: frozenset[str]) -> Iterator[Violation]:
    allowed = ALLOWED | SAVE_RESTORE | more | {each.name for each in found.functions}
    for use in uses(found, everything(found)):
        if use.op not in allowed:
            yield _forbidden(where, use)
    guarded = SAVE_RESTORE - more
    for use in uses(found, reached(found, found.run_nodes, found.run_functions)):
        if use.op in guarded:
            yield _reachable(where, use, "a signature, or what runs at load,")
    restoring = reached(found, [found.restore], [])
    for use in uses(found, restoring):
        if use.op in guarded & WRITES_VARIABLES:
            yield _reachable(where, use, "what restores the variables")
    for use in reads_elsewhere(found, restoring):
        if use.op in guarded:
            yield _elsewhere(where, use)


def _forbidden(where: str, use: Use) -> Violation:
    op = _cut(use.op)
    return Violation(
        "forbidden-op",
        _place(where, use),
        f"the op '{op}' is not among those that a classifier needs",
        "export the network for inference alone; for an op that you trust the operator sets "
        f"MoreOps={op} (FACET_MORE_OPS; docs/security.md)",
    )


def _reachable(where: str, use: Use, who: str) -> Violation:
    return Violation(
        "reachable-save-restore",
        _place(where, use),
        f"{who} reaches '{_cut(use.op)}', which reads or writes files",
        "export the network for inference alone: only the saver may save and restore",
    )


def _elsewhere(where: str, use: Use) -> Violation:
    return Violation(
        "foreign-variables",
        _place(where, use),
        f"'{_cut(use.op)}' reads variables from a path other than the one that the server gives",
        "export it with tf.saved_model.save, which restores the model's own variables",
    )


def _place(where: str, use: Use) -> str:
    function = f"function {_cut(use.function)}, " if use.function else ""
    return f"{where} {function}node {_cut(use.node)}"


def _cut(name: str) -> str:
    return name if len(name) <= LONG else f"{name[:LONG]}…"


def _litert(place: str, model: lite.Buffer) -> Iterator[Violation]:
    try:
        for op in lite.operators(model):
            where = f"{place}: subgraph {op.subgraph}, operator {op.position}"
            if op.subgraph is None:
                where = f"{place}: operator code {op.code}"
            if op.custom is not None:
                yield _custom(where, op.custom)
            elif op.builtin not in lite.BUILTINS:
                yield _unknown(where, op.builtin)
    except lite.UnreadableLiteRT as error:
        yield Violation("litert-unreadable", place, str(error), "convert the model again")


def _custom(where: str, name: str) -> Violation:
    return Violation(
        "litert-custom-op",
        where,
        f"the operator '{_cut(name)}' is code that the runtime does not have",
        "convert with tf.lite.OpsSet.TFLITE_BUILTINS alone, or leave assets.extra/model.tflite out",
    )


def _unknown(where: str, builtin: int) -> Violation:
    return Violation(
        "litert-unknown-op",
        where,
        f"there is no operator {builtin}; the last that we know is {max(lite.BUILTINS)}",
        "convert with a TensorFlow that the endpoint has, or leave assets.extra/model.tflite out",
    )
