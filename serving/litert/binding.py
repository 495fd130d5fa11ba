"""The C API of the wheel's own `libLiteRt.so`, as far as it is used here.

`ctypes.CDLL` releases Python's lock during every call, which LiteRT's own Python classes do not.
The declarations are those of litert/c/*.h in github.com/google-ai-edge/LiteRT; tests compare them
with the installed library, whose version is pinned exactly.
"""

import ctypes
import functools
import importlib.util
import sys
from collections.abc import Callable
from ctypes import POINTER, Structure, Union, byref, c_bool, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

VERSION = "2.3.0"
"""The version of ai-edge-litert whose headers these declarations were taken from."""

LIBRARY = "libLiteRt.dylib" if sys.platform == "darwin" else "libLiteRt.so"

MAX_RANK = 8  # LITERT_TENSOR_MAX_RANK
ALIGNMENT = 64  # LITERT_HOST_MEMORY_BUFFER_ALIGNMENT

DTYPES = {
    1: "float32",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    8: "complex64",
    9: "int8",
    10: "float16",
    11: "float64",
    12: "complex128",
    13: "uint64",
    16: "uint32",
    17: "uint16",
}
"""NumPy's names of LiteRtElementType."""
ELEMENT_TYPES = {name: number for number, name in DTYPES.items()}

STATUS = {
    1: "invalid argument",
    2: "no memory",
    3: "runtime failure",
    4: "missing input",
    5: "unsupported",
    6: "not found",
    8: "wrong version",
    500: "file cannot be read",
    501: "invalid flatbuffer",
    504: "compilation failed",
    1000: "index out of range",
    1001: "invalid type",
    1002: "invalid graph",
}
"""What LiteRtStatus means; the library exports no text for it."""

CPU = 1  # kLiteRtHwAcceleratorCpu
OPTION_ACCELERATORS, OPTION_SEVERITY = 24, 25  # LiteRtEnvOptionTag
SEVERITY_SILENT = 4  # kLiteRtLogSeveritySilent
ANY_INT = 2  # kLiteRtAnyTypeInt

XNNPACK = b"xnnpack"  # LrtGetCpuOptionsIdentifier()
RUNTIME = b"runtime_options_string"  # LiteRtRuntimeOptionsT::Identifier()
COLLECT_ERRORS = b"error_reporter_mode = 2\n"  # kLiteRtErrorReporterModeBuffer


class LiteRTError(Exception):
    """A call of LiteRT failed; the text is its status."""


class Layout(Structure):
    """LiteRtLayout."""

    _fields_ = [
        ("rank", ctypes.c_uint32, 7),
        ("has_strides", ctypes.c_uint32, 1),
        ("dimensions", ctypes.c_int32 * MAX_RANK),
        ("strides", ctypes.c_uint32 * MAX_RANK),
    ]


class TensorType(Structure):
    """LiteRtRankedTensorType."""

    _fields_ = [("element_type", c_int), ("layout", Layout)]


class _Value(Union):
    _fields_ = [("integer", ctypes.c_int64), ("pointer", c_void_p)]


class AnyValue(Structure):
    """LiteRtAny."""

    _fields_ = [("type", c_int), ("value", _Value)]


class EnvironmentOption(Structure):
    """LiteRtEnvOption."""

    _fields_ = [("tag", c_int), ("value", AnyValue)]


HANDLE, OUT, INDEX = c_void_p, POINTER(c_void_p), c_size_t
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "LiteRtCreateEnvironment": (c_int, POINTER(EnvironmentOption), OUT),
    "LiteRtCreateModelFromBuffer": (HANDLE, c_void_p, c_size_t, OUT),
    "LiteRtCreateOptions": (OUT,),
    "LiteRtSetOptionsHardwareAccelerators": (HANDLE, c_int),
    "LiteRtCreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, OUT),
    "LiteRtAddOpaqueOptions": (HANDLE, HANDLE),
    "LiteRtCreateCompiledModel": (HANDLE, HANDLE, HANDLE, OUT),
    "LiteRtCompiledModelResizeInputTensorNonStrict": (
        *(HANDLE, INDEX, INDEX),
        *(POINTER(c_int), c_size_t),
    ),
    "LiteRtGetCompiledModelOutputTensorLayouts": (HANDLE, INDEX, c_size_t, c_void_p, c_bool),
    "LiteRtCreateTensorBufferFromHostMemory": (
        *(POINTER(TensorType), c_void_p, c_size_t),
        *(c_void_p, OUT),
    ),
    "LiteRtRunCompiledModel": (HANDLE, INDEX, c_size_t, OUT, c_size_t, OUT),
    "LiteRtCompiledModelGetErrorMessages": (HANDLE, OUT),
    "LiteRtCompiledModelClearErrors": (HANDLE,),
}
"""The functions that return a status, with their parameters."""

DESTROYERS = (
    "LiteRtDestroyModel",
    "LiteRtDestroyOptions",
    "LiteRtDestroyCompiledModel",
    "LiteRtDestroyTensorBuffer",
)
"""The functions that take a handle and return nothing."""


class Library:
    """The loaded library and its one environment, which the process keeps."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if it cannot be loaded, AttributeError if it lacks a function."""
        self._library = ctypes.CDLL(str(path))
        self._c = ctypes.CDLL(None)
        self._c.strdup.restype = c_void_p
        self._free = ctypes.cast(self._c.free, c_void_p)
        for name, parameters in SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = parameters, c_int
            function.errcheck = self._check
        for name in DESTROYERS:
            function = getattr(self._library, name)
            function.argtypes, function.restype = (c_void_p,), None
        self.environment = self._create_environment()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A function of the library, by its name without `LiteRt`. Raises LiteRTError."""
        function = getattr(self._library, f"LiteRt{name}")
        setattr(self, name, function)
        return function  # type: ignore[no-any-return]

    def made(self, name: str, *arguments: object) -> c_void_p:
        """The handle that a function gives through its last parameter. Raises LiteRTError."""
        handle = c_void_p()
        getattr(self, name)(*arguments, byref(handle))
        return handle

    def add_options(self, options: c_void_p, identifier: bytes, toml: bytes) -> None:
        """Give the options of one part of LiteRT, which frees the text. Raises LiteRTError."""
        text = c_void_p(self._c.strdup(toml))
        part = self.made("CreateOpaqueOptions", identifier, text, self._free)
        self.AddOpaqueOptions(options, part)

    def buffer(self, dtype: str, shape: tuple[int, ...], address: int, size: int) -> c_void_p:
        """A tensor's memory, which the caller keeps. Raises LiteRTError."""
        kind = TensorType(ELEMENT_TYPES[dtype])
        kind.layout.rank = len(shape)
        kind.layout.dimensions[: len(shape)] = shape
        return self.made("CreateTensorBufferFromHostMemory", byref(kind), address, size, None)

    def errors(self, compiled: c_void_p) -> str:
        """What a model reported since the last call. Raises LiteRTError."""
        text = self.made("CompiledModelGetErrorMessages", compiled)
        report = ctypes.string_at(text).decode(errors="replace") if text else ""
        self._c.free(text)
        self.CompiledModelClearErrors(compiled)
        return report.strip()

    def _check(self, status: int, *_: object) -> int:
        if status:
            raise LiteRTError(f"{STATUS.get(status, 'unknown')}, status {status}")
        return status

    def _create_environment(self) -> c_void_p:
        """An environment that computes on the processor alone and writes no log."""
        options = (EnvironmentOption * 2)(
            EnvironmentOption(OPTION_ACCELERATORS, AnyValue(ANY_INT, _Value(CPU))),
            EnvironmentOption(OPTION_SEVERITY, AnyValue(ANY_INT, _Value(SEVERITY_SILENT))),
        )
        return self.made("CreateEnvironment", len(options), options)


def path() -> Path:
    """Where the wheel has the library. Raises ModuleNotFoundError."""
    found = importlib.util.find_spec("ai_edge_litert")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("LiteRT is not installed")
    return Path(found.submodule_search_locations[0], LIBRARY)


@functools.cache
def library() -> Library:
    """The library, loaded once. Raises OSError, AttributeError, LiteRTError."""
    return Library(path())
