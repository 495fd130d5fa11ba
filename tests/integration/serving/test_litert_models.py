"""Models of many kinds answer on LiteRT's C API bit for bit as on its interpreter."""
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.errors import InferenceFailed
from serving.litert import compiled, weights
from serving.litert.compiled import Compiled
from serving.litert.interpreted import Interpreted
from serving.litert.model_file import Tensor
from serving.litert.weights import WeightCache
from serving.runtimes.litert import LiteRT

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed (make tensorflow)")

Options = dict[str, Any]
SIDE = 12
INTERPRETED = {"flatten", "places"}
"""Their outputs get a size while they are computed, in memory that the C API does not give."""


class Network(tf.Module):  # type: ignore[name-defined]
    """An image's scores: convolution, pooling, two dense layers, softmax."""

    def __init__(self, batch: int | None = None, dtype: Any = tf.float32) -> None:
        super().__init__()
        random = np.random.default_rng(1)
        self.kernel = tf.Variable(random.normal(0, 0.3, (3, 3, 3, 16)).astype("f"))
        self.hidden = tf.Variable(random.normal(0, 0.1, (576, 64)).astype("f"))
        self.weights = tf.Variable(random.normal(0, 0.3, (64, 5)).astype("f"))

        @tf.function(input_signature=[tf.TensorSpec([batch, SIDE, SIDE, 3], dtype, "image")])
        def scores(image: Any) -> dict[str, Any]:
            values = tf.nn.relu(tf.nn.conv2d(tf.cast(image, tf.float32), self.kernel, 1, "SAME"))
            pooled = tf.nn.max_pool2d(values, 2, 2, "SAME")
            flat = tf.reshape(pooled, [tf.shape(pooled)[0], 576])
            return {"scores": tf.nn.softmax(tf.nn.relu(flat @ self.hidden) @ self.weights)}

        self.functions = {"serving_default": scores}


class Functions(tf.Module):  # type: ignore[name-defined]
    """Functions by name, with their inputs."""

    def __init__(self, **functions: tuple[list[Any], Callable[..., Any]]) -> None:
        super().__init__()
        self.functions = {
            name: tf.function(function, input_signature=inputs)
            for name, (inputs, function) in functions.items()
        }


def rows(**dtypes: Any) -> list[Any]:
    return [tf.TensorSpec([None, 3], dtype, name) for name, dtype in dtypes.items()]


def calibration() -> Iterator[list[NDArray[np.float32]]]:
    random = np.random.default_rng(2)
    for _ in range(8):
        yield [random.uniform(-3, 3, (1, SIDE, SIDE, 3)).astype("f")]


def integers(dtype: Any, ops: Any) -> Options:
    return {
        "optimizations": [tf.lite.Optimize.DEFAULT],
        "representative_dataset": calibration,
        "target_spec": tf.lite.TargetSpec(supported_ops=[ops]),
        "inference_input_type": dtype,
        "inference_output_type": dtype,
    }


def half() -> Options:
    spec = tf.lite.TargetSpec(supported_types=[tf.float16])
    return {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": spec}


def dtypes(a: Any, b: Any, c: Any, d: Any, e: Any) -> dict[str, Any]:
    return {
        "floats": tf.where(d, a, -a) + tf.cast(b, tf.float32),
        "ints": b + 1,
        "longs": c * 2,
        "bools": tf.logical_not(d),
        "bytes": tf.concat([e, e], 1),
    }


def signatures() -> Any:
    return Functions(
        serving_default=(rows(x=tf.float32), lambda x: {"y": x * 2.0 + 1.0}),
        sums=(rows(p=tf.float32, q=tf.float32), lambda p, q: {"all": p + q, "p": tf.reduce_sum(p)}),
        squares=(rows(n=tf.int32), lambda n: {"n": n * n}),
    )


def one(function: Callable[..., Any], *inputs: Any) -> Any:
    return Functions(serving_default=([*inputs], function))


MODELS: Mapping[str, Callable[[], tuple[Any, Options]]] = {
    "float32": lambda: (Network(), {}),
    "uint8-input": lambda: (Network(dtype=tf.uint8), {}),
    "fixed-batch": lambda: (Network(1), {}),
    "float16": lambda: (Network(), half()),
    "dynamic-range": lambda: (Network(), {"optimizations": [tf.lite.Optimize.DEFAULT]}),
    "full-int8": lambda: (
        Network(),
        integers(tf.int8, tf.lite.OpsSet.TFLITE_BUILTINS_INT8),
    ),
    "full-uint8": lambda: (
        Network(1),
        integers(tf.uint8, tf.lite.OpsSet.TFLITE_BUILTINS_INT8),
    ),
    "int16": lambda: (
        Network(),
        integers(
            tf.int16,
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
        ),
    ),
    "dtypes": lambda: (
        one(dtypes, *rows(a=tf.float32, b=tf.int32, c=tf.int64, d=tf.bool, e=tf.uint8)),
        {},
    ),
    "complex": lambda: (one(lambda x: {"y": tf.math.real(x)}, *rows(x=tf.complex64)), {}),
    "scalar": lambda: (
        one(
            lambda x, by: {"y": x * by, "total": tf.reduce_sum(x) * by},
            *(*rows(x=tf.float32), tf.TensorSpec([], tf.float32, "by")),
        ),
        {},
    ),
    "signatures": lambda: (signatures(), {}),
    "any-size": lambda: (
        one(
            lambda x: {"mean": tf.reduce_mean(x, [1, 2]), "half": x[:, ::2, ::2]},
            tf.TensorSpec([None, None, None, 1], tf.float32, "x"),
        ),
        {},
    ),
    "positive": lambda: (
        one(
            lambda x: {"y": tf.boolean_mask(x, x > 0.0) * 2.0 + 1.0},
            tf.TensorSpec([None], tf.float32, "x"),
        ),
        {},
    ),
    "places": lambda: (
        one(lambda x: {"places": tf.where(x > 0.0)}, tf.TensorSpec([None], tf.float32, "x")),
        {},
    ),
    "flatten": lambda: (
        one(
            lambda x: {"flat": tf.reshape(x, [tf.shape(x)[0], 12])},
            tf.TensorSpec([None, 2, 2, 3], tf.float32, "x"),
        ),
        {},
    ),
    "flatten-and-scale": lambda: (
        one(
            lambda x: {"flat": tf.reshape(x, [tf.shape(x)[0], 12]) * 2.0 + 1.0},
            tf.TensorSpec([None, 2, 2, 3], tf.float32, "x"),
        ),
        {},
    ),
    "loop": lambda: (
        one(
            lambda x: {
                "y": tf.while_loop(
                    lambda turn, _: turn < 5,
                    lambda turn, y: (turn + 1, y * 1.5),
                    [tf.constant(0), x],
                )[1]
            },
            *rows(x=tf.float32),
        ),
        {},
    ),
}


@pytest.fixture(params=[*MODELS])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    module, options = MODELS[request.param]()
    saved = str(tmp_path / "saved")
    tf.saved_model.save(module, saved, signatures=module.functions)
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    for name, value in options.items():
        setattr(converter, name, value)
    path = tmp_path / f"{request.param}.tflite"
    path.write_bytes(converter.convert())
    return path


def drawn(tensor: Tensor, count: int) -> NDArray[Any]:
    """Random values of an input; dimensions of any size are the number of rows, then 6."""
    random = np.random.default_rng(count)
    sizes = [6 if size < 0 else size for size in tensor.shape]
    values = random.uniform(-3, 3, [count, *sizes[1:]] if sizes else [])
    if np.dtype(tensor.dtype).kind not in "iu":
        return values.astype(tensor.dtype) if tensor.dtype != "bool" else values > 0
    return np.abs(values * 20).astype(tensor.dtype)


def test_answers_are_the_interpreters_bit_for_bit(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without weights on disk."""
    monkeypatch.setattr(compiled, "SMALLEST", 0)
    monkeypatch.setattr(weights, "IN_MEMORY", frozenset())
    cache = WeightCache(tmp_path / "weights", None)
    runtimes = [LiteRT(model, 1), LiteRT(model, 1, cache)]
    interpreted = Interpreted(model, 1)
    for engine in (each._engine for each in runtimes):
        assert isinstance(engine, Interpreted if model.stem in INTERPRETED else Compiled)
        assert engine.functions.keys() == interpreted.functions.keys()
        for name, function in interpreted.functions.items():
            assert engine.functions[name].inputs == function.inputs
            assert engine.functions[name].outputs == function.outputs
            for count in (1, 3, 8, 2, 2):
                compare(engine, interpreted, name, count)
    for runtime in runtimes:
        runtime.close()
    interpreted.close()


def compare(engine: Any, interpreted: Interpreted, name: str, count: int) -> None:
    """Both compute the same random rows."""
    function = engine.functions[name]
    inputs = {each: drawn(tensor, count) for each, tensor in function.inputs.items()}
    try:
        wanted = interpreted.call(name, inputs)
    except InferenceFailed:  # as a batch of one that cannot be another
        with pytest.raises(InferenceFailed):
            engine.call(name, inputs)
        return
    answer = engine.call(name, inputs)
    assert {each: (array.dtype, array.shape) for each, array in answer.items()} == {
        each: (array.dtype, array.shape) for each, array in wanted.items()
    }
    assert all(answer[each].tobytes() == wanted[each].tobytes() for each in wanted)
