"""The activation is read from the op that a signature's output comes out of."""

import pytest

from cli.pack.model.activation import DetectedActivation, detect
from facet.artifact.graphs import saved_model_pb2 as pb


def saved_model(tensor: str) -> tuple[pb.SavedModel, pb.GraphDef]:
    model = pb.SavedModel()
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.signature_def["s"].outputs["scores"].name = tensor
    return model, graph.graph_def


def read(model: pb.SavedModel) -> DetectedActivation:
    return detect(model.SerializeToString(), "s", "scores")


def node(graph: pb.GraphDef, name: str, op: str, *inputs: str) -> pb.NodeDef:
    return graph.node.add(name=name, op=op, input=inputs)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("Softmax", DetectedActivation("softmax", sure=True)),
        ("Sigmoid", DetectedActivation("sigmoid", sure=True)),
        ("BiasAdd", DetectedActivation("logits", sure=False)),
        ("Einsum", DetectedActivation(None, sure=False)),
    ],
)
def test_in_the_main_graph(op: str, expected: DetectedActivation) -> None:
    model, graph = saved_model("out:0")
    node(graph, "last", op, "before")
    node(graph, "shaped", "Reshape", "last", "shape")
    node(graph, "out", "Identity", "shaped:0", "^control")
    assert read(model) == expected


def function(graph: pb.GraphDef, name: str, outputs: dict[str, str]) -> pb.FunctionDef:
    made = graph.library.function.add()
    made.signature.name = name
    for each, tensor in outputs.items():
        made.signature.output_arg.add(name=each)
        made.ret[each] = tensor
    return made


def test_through_calls_the_output_is_followed_by_its_position() -> None:
    model, graph = saved_model("call:1")
    node(graph, "call", "StatefulPartitionedCall").attr["f"].func.name = "outer"
    outer = function(graph, "outer", {"first": "a:b:0", "second": "inside:output:0"})
    inside = outer.node_def.add(name="inside", op="PartitionedCall")
    inside.attr["f"].func.name = "inner"
    inner = function(graph, "inner", {"only": "copy:output:0"})
    inner.node_def.add(name="copy", op="Identity", input=["soft:softmax:0"])
    inner.node_def.add(name="soft", op="Softmax", input=["logits"])
    assert read(model) == DetectedActivation("softmax", sure=True)


def test_through_a_function_called_by_its_own_name() -> None:
    model, graph = saved_model("out")
    node(graph, "out", "Identity", "call:named:0")
    node(graph, "call", "my_function")
    called = function(graph, "my_function", {"other": "x:y:0", "named": "sig:y:0"})
    called.node_def.add(name="sig", op="Sigmoid", input=["x"])
    assert read(model) == DetectedActivation("sigmoid", sure=True)


def test_a_function_that_gives_back_its_argument_says_nothing() -> None:
    model, graph = saved_model("call:0")
    node(graph, "call", "PartitionedCall").attr["f"].func.name = "same"
    function(graph, "same", {"out": "argument"})
    assert read(model) == DetectedActivation(None, sure=False)


def test_functions_that_call_in_circles_say_nothing() -> None:
    model, graph = saved_model("call:0")
    node(graph, "call", "PartitionedCall").attr["f"].func.name = "circle"
    circle = function(graph, "circle", {"out": "again:output:0"})
    circle.node_def.add(name="again", op="PartitionedCall").attr["f"].func.name = "circle"
    assert read(model) == DetectedActivation(None, sure=False)


def test_bytes_that_are_no_model_say_nothing() -> None:
    assert detect(b"\xff\xff\xff", "s", "scores") == DetectedActivation(None, sure=False)
