"""The policy on ops: which SavedModels and LiteRT files may be served.

The policy screens, it does not make a model safe: TensorFlow itself says that a model is a program.
"""

from collections.abc import Iterator
from itertools import islice

from facet.artifact.graphs import litert
from facet.artifact.graphs.graph import MetaGraph, SavedModel
from facet.artifact.graphs.ops import ALLOWED, SAVE_RESTORE, WRITES_VARIABLES
from facet.artifact.graphs.reachability import Use, everything, reached, reads_elsewhere, uses
from facet.artifact.graphs.saved_model import UnreadableSavedModel
from facet.errors import Violation

MAX_VIOLATIONS = 100
"""Violations of one file that are listed; a report shows fewer."""

MAX_NAME = 200
"""Characters of a name in a violation's text."""


def check_saved_model(place: str, model: SavedModel, more: frozenset[str]) -> Iterator[Violation]:
    """Ops that no classifier needs: one violation for each function and kind of op.

    `place` is the file's name; `more` are ops that the operator allows beyond the allow-list.
    """
    yield from islice(_saved_model(place, model, more), MAX_VIOLATIONS)


def check_litert(place: str, model: litert.Buffer, more: frozenset[str]) -> Iterator[Violation]:
    """Operators that are not LiteRT's own, and control flow: one violation for each kind.

    `more` are names of control flow that the operator allows, such as WHILE.
    """
    yield from islice(_litert(place, model, more), MAX_VIOLATIONS)


def _saved_model(place: str, model: SavedModel, more: frozenset[str]) -> Iterator[Violation]:
    for number, graph in enumerate(model.graphs):
        where = f"{place}: meta graph '{_cut(','.join(graph.tags))}'," if number else f"{place}:"
        yield from _screened(where, graph, more)
    if model.error:
        yield unreadable(place, model.error)


def unreadable(place: str, error: UnreadableSavedModel) -> Violation:
    """The violation of a `saved_model.pb` that cannot be read."""
    return Violation(
        "saved-model-unreadable", place, str(error), "export it again with tf.saved_model.save"
    )


def unreadable_litert(
    place: str, error: litert.UnreadableLiteRT | litert.TooManyParts
) -> Violation:
    """The violation of a LiteRT model that cannot be read."""
    if isinstance(error, litert.UnreadableLiteRT):
        return Violation("litert-unreadable", place, str(error), "convert the model again")
    return Violation(
        "litert-too-complex", place, str(error), "convert only the function that is served"
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
        f"the op '{op}' is not on the list of those that a classifier needs",
        "export the network for inference only; to allow an op that you trust, the operator sets "
        f"MoreOps={op} (FACET_MORE_OPS; docs/security.md)",
    )


def _reachable(where: str, use: Use, who: str) -> Violation:
    return Violation(
        "reachable-save-restore",
        _place(where, use),
        f"{who} reaches '{_cut(use.op)}', which reads or writes files",
        "export the network for inference only: only the saver may save and restore",
    )


def _elsewhere(where: str, use: Use) -> Violation:
    return Violation(
        "foreign-variables",
        _place(where, use),
        f"'{_cut(use.op)}' reads variables from another path than the server's",
        "export it with tf.saved_model.save, which restores the model's own variables",
    )


def _place(where: str, use: Use) -> str:
    function = f"function {_cut(use.function)}, " if use.function else ""
    return f"{where} {function}node {_cut(use.node)}"


def _cut(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"


def _litert(place: str, data: litert.Buffer, more: frozenset[str]) -> Iterator[Violation]:
    try:
        model = litert.read(data)
        for op in model.operators:
            where = f"{place}: subgraph {op.subgraph}, operator {op.position}"
            if op.subgraph is None:
                where = f"{place}: operator code {op.code}"
            if op.custom is not None:
                yield _custom(where, op.custom)
            elif op.builtin not in litert.BUILTINS:
                yield _unknown(where, op.builtin)
            elif (name := litert.CONTROL_FLOW.get(op.builtin, "")) not in {"", *more}:
                yield _control_flow(where, name)
        model.check_calls()
    except (litert.UnreadableLiteRT, litert.TooManyParts) as error:
        yield unreadable_litert(place, error)
    except litert.Recursion as error:
        yield Violation(
            "litert-recursion", place, str(error), "convert the model again; no converter does this"
        )


def _control_flow(where: str, name: str) -> Violation:
    return Violation(
        "litert-control-flow",
        where,
        f"the operator '{name}' runs other parts of the model, perhaps without end",
        "remove assets.extra/model.tflite: the SavedModel is served without it; to allow an "
        f"operator that you trust, the operator of the stack sets MoreOps={name} "
        "(FACET_MORE_OPS; docs/security.md)",
    )


def _custom(where: str, name: str) -> Violation:
    return Violation(
        "litert-custom-op",
        where,
        f"the operator '{_cut(name)}' is custom code that the runtime does not have",
        "convert with tf.lite.OpsSet.TFLITE_BUILTINS only, or remove assets.extra/model.tflite",
    )


def _unknown(where: str, builtin: int) -> Violation:
    return Violation(
        "litert-unknown-op",
        where,
        f"operator {builtin} is unknown; the last known one is {max(litert.BUILTINS)}",
        "convert with a TensorFlow that the endpoint has, or remove assets.extra/model.tflite",
    )
