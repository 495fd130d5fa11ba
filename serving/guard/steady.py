"""Whether a LiteRT model takes about as long for all inputs of a size.

Loops run until the input lets them end, and some operators make tensors as large as a number in the
input says. A model without any of them, that was quick, is quick again.
"""

import mmap
from collections.abc import Mapping
from pathlib import Path

from serving.litert.model_file import Unfit, operators

STEADY: Mapping[int, str] = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    5: "DEPTH_TO_SPACE",
    6: "DEQUANTIZE",
    8: "FLOOR",
    9: "FULLY_CONNECTED",
    11: "L2_NORMALIZATION",
    12: "L2_POOL_2D",
    13: "LOCAL_RESPONSE_NORMALIZATION",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    20: "RELU_N1_TO_1",
    21: "RELU6",
    22: "RESHAPE",
    25: "SOFTMAX",
    26: "SPACE_TO_DEPTH",
    28: "TANH",
    36: "GATHER",
    39: "TRANSPOSE",
    40: "MEAN",
    41: "SUB",
    42: "DIV",
    43: "SQUEEZE",
    45: "STRIDED_SLICE",
    47: "EXP",
    49: "SPLIT",
    50: "LOG_SOFTMAX",
    53: "CAST",
    54: "PRELU",
    55: "MAXIMUM",
    56: "ARG_MAX",
    57: "MINIMUM",
    59: "NEG",
    65: "SLICE",
    70: "EXPAND_DIMS",
    73: "LOG",
    74: "SUM",
    75: "SQRT",
    76: "RSQRT",
    77: "SHAPE",
    78: "POW",
    82: "REDUCE_MAX",
    83: "PACK",
    88: "UNPACK",
    89: "REDUCE_MIN",
    92: "SQUARE",
    98: "LEAKY_RELU",
    99: "SQUARED_DIFFERENCE",
    101: "ABS",
    104: "CEIL",
    105: "REVERSE_V2",
    111: "ELU",
    114: "QUANTIZE",
    116: "ROUND",
    117: "HARD_SWISH",
    126: "BATCH_MATMUL",
    150: "GELU",
    152: "RELU_0_TO_1",
}
"""Operators, by their numbers in TensorFlow's schema.fbs, whose time and results have sizes that
follow from the shapes of their inputs. Most classifiers consist of them."""


def is_steady(source: Path) -> bool:
    """Whether all operators of a LiteRT file are STEADY; false for anything else."""
    try:
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
            return all(operator in STEADY for operator in operators(content))
    except (OSError, ValueError, Unfit):
        return False
