"""Which nodes and functions of a graph run when some of it is run, in linear time.

What may run is decided in `op_policy`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from facet.artifact.graphs.graph import Function, MetaGraph, Node
from facet.artifact.graphs.ops import READS_VARIABLES

PASSES_ON = frozenset(["Identity", "PlaceholderWithDefault"])


class Use(NamedTuple):
    """A kind of op, the function that has it ("" for the main graph), and the first such node."""

    op: str
    function: str
    node: str


class Part(NamedTuple):
    """A part of a graph: positions of nodes in the main graph, and names of functions."""

    nodes: Iterable[int]
    functions: frozenset[str]


def everything(graph: MetaGraph) -> Part:
    """The whole graph, with functions that are never called."""
    return Part(range(len(graph.nodes)), frozenset(each.name for each in graph.functions))


def reached(graph: MetaGraph, nodes: Iterable[str], functions: Iterable[str]) -> Part:
    """What may run when these nodes and functions do: over data and control inputs, and calls."""
    named: defaultdict[str, list[int]] = defaultdict(list)
    for at, node in enumerate(graph.nodes):
        named[node.name].append(at)
    seen: set[int] = set()
    to_see = [*nodes]
    to_call = [*functions]
    while to_see:
        for at in named.pop(to_see.pop(), ()):
            seen.add(at)
            to_see += graph.nodes[at].inputs
            to_call += _calls_of(graph.nodes[at])
    return Part(sorted(seen), _called(graph.functions, to_call))


def uses(graph: MetaGraph, part: Part) -> Iterator[Use]:
    """The first use of each kind of op in the main graph, and in each function."""
    first: dict[str, str] = {}
    for at in part.nodes:
        first.setdefault(graph.nodes[at].op, graph.nodes[at].name)
    yield from (Use(op, "", node) for op, node in first.items())
    for function in graph.functions:
        if function.name in part.functions:
            yield from (Use(op, function.name, node) for op, node in function.ops.items())


def reads_elsewhere(graph: MetaGraph, restoring: Part) -> Iterator[Use]:
    """Ops that read variables from another path than `graph.filename`.

    The path must come from there directly: to a node of the main graph, or as the argument of a
    function that only the main graph calls.
    """
    given = _same_as(graph)
    calls: defaultdict[str, list[Node]] = defaultdict(list)
    for node in (graph.nodes[at] for at in restoring.nodes):
        if node.op in READS_VARIABLES and not given & {*node.inputs[:1]}:
            yield Use(node.op, "", node.name)
        for name in _calls_of(node):
            calls[name].append(node)
    functions = [each for each in graph.functions if each.name in restoring.functions]
    nested = _called(functions, [name for each in functions for name in _calls_in(each)])
    for function in functions:
        good = function.name not in nested and all(
            _is_given(function, node, given) for node in calls[function.name]
        )
        if not good:
            yield from (
                Use(op, function.name, node)
                for op, node in function.ops.items()
                if op in READS_VARIABLES
            )


def _is_given(function: Function, call: Node, given: set[str]) -> bool:
    """Whether a call passes the server's path for every path that the function reads."""
    passed = dict(zip(function.arguments, call.inputs, strict=False))
    return all(passed.get(path) in given for path in function.read_paths)


def _same_as(graph: MetaGraph) -> set[str]:
    """The nodes of the main graph whose value is that of `graph.filename`."""
    by_input: defaultdict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        if node.op in PASSES_ON and node.inputs:
            by_input[node.inputs[0]].append(node.name)
    same: set[str] = set()
    to_see = [graph.filename] if graph.filename else []
    while to_see:
        name = to_see.pop()
        if name not in same:
            same.add(name)
            to_see += by_input[name]
    return same


def _calls_of(node: Node) -> Iterable[str]:
    """An op may be the name of a function."""
    return (node.op, *node.calls)


def _calls_in(function: Function) -> Iterable[str]:
    return (*function.calls, *function.ops)


def _called(functions: Iterable[Function], names: Iterable[str]) -> frozenset[str]:
    """The functions that calls of these names lead to."""
    leads: defaultdict[str | bytes, list[str | bytes]] = defaultdict(list)
    for function in functions:
        leads[function.name] += _calls_in(function)
        if function.stands_for:
            leads[function.name].append(function.stands_for)
            leads[function.stands_for].append(function.name)
    called: set[str | bytes] = set()
    to_call: list[str | bytes] = [*names]
    while to_call:
        name = to_call.pop()
        if name in leads and name not in called:
            called.add(name)
            to_call += leads[name]
    return frozenset(name for name in called if isinstance(name, str))
