from collections.abc import Iterable as _Iterable
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar

from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from google.protobuf.internal import containers as _containers

DESCRIPTOR: _descriptor.FileDescriptor

class SavedModel(_message.Message):
    __slots__ = ("meta_graphs",)
    META_GRAPHS_FIELD_NUMBER: _ClassVar[int]
    meta_graphs: _containers.RepeatedCompositeFieldContainer[MetaGraphDef]
    def __init__(self, meta_graphs: _Iterable[MetaGraphDef | _Mapping] | None = ...) -> None: ...

class MetaGraphDef(_message.Message):
    __slots__ = (
        "collection_def",
        "graph_def",
        "meta_info_def",
        "object_graph_def",
        "saver_def",
        "signature_def",
    )
    class MetaInfoDef(_message.Message):
        __slots__ = ("tags",)
        TAGS_FIELD_NUMBER: _ClassVar[int]
        tags: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, tags: _Iterable[str] | None = ...) -> None: ...

    class CollectionDefEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: CollectionDef
        def __init__(
            self, key: str | None = ..., value: CollectionDef | _Mapping | None = ...
        ) -> None: ...

    class SignatureDefEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SignatureDef
        def __init__(
            self, key: str | None = ..., value: SignatureDef | _Mapping | None = ...
        ) -> None: ...

    META_INFO_DEF_FIELD_NUMBER: _ClassVar[int]
    GRAPH_DEF_FIELD_NUMBER: _ClassVar[int]
    SAVER_DEF_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_DEF_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_DEF_FIELD_NUMBER: _ClassVar[int]
    OBJECT_GRAPH_DEF_FIELD_NUMBER: _ClassVar[int]
    meta_info_def: MetaGraphDef.MetaInfoDef
    graph_def: GraphDef
    saver_def: SaverDef
    collection_def: _containers.MessageMap[str, CollectionDef]
    signature_def: _containers.MessageMap[str, SignatureDef]
    object_graph_def: SavedObjectGraph
    def __init__(
        self,
        meta_info_def: MetaGraphDef.MetaInfoDef | _Mapping | None = ...,
        graph_def: GraphDef | _Mapping | None = ...,
        saver_def: SaverDef | _Mapping | None = ...,
        collection_def: _Mapping[str, CollectionDef] | None = ...,
        signature_def: _Mapping[str, SignatureDef] | None = ...,
        object_graph_def: SavedObjectGraph | _Mapping | None = ...,
    ) -> None: ...

class SignatureDef(_message.Message):
    __slots__ = ("inputs", "outputs")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: TensorInfo
        def __init__(
            self, key: str | None = ..., value: TensorInfo | _Mapping | None = ...
        ) -> None: ...

    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: TensorInfo
        def __init__(
            self, key: str | None = ..., value: TensorInfo | _Mapping | None = ...
        ) -> None: ...

    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    inputs: _containers.MessageMap[str, TensorInfo]
    outputs: _containers.MessageMap[str, TensorInfo]
    def __init__(
        self,
        inputs: _Mapping[str, TensorInfo] | None = ...,
        outputs: _Mapping[str, TensorInfo] | None = ...,
    ) -> None: ...

class TensorInfo(_message.Message):
    __slots__ = ("composite_tensor", "coo_sparse", "dtype", "name", "tensor_shape")
    class CooSparse(_message.Message):
        __slots__ = ("dense_shape_tensor_name", "indices_tensor_name", "values_tensor_name")
        VALUES_TENSOR_NAME_FIELD_NUMBER: _ClassVar[int]
        INDICES_TENSOR_NAME_FIELD_NUMBER: _ClassVar[int]
        DENSE_SHAPE_TENSOR_NAME_FIELD_NUMBER: _ClassVar[int]
        values_tensor_name: str
        indices_tensor_name: str
        dense_shape_tensor_name: str
        def __init__(
            self,
            values_tensor_name: str | None = ...,
            indices_tensor_name: str | None = ...,
            dense_shape_tensor_name: str | None = ...,
        ) -> None: ...

    class CompositeTensor(_message.Message):
        __slots__ = ("components",)
        COMPONENTS_FIELD_NUMBER: _ClassVar[int]
        components: _containers.RepeatedCompositeFieldContainer[TensorInfo]
        def __init__(self, components: _Iterable[TensorInfo | _Mapping] | None = ...) -> None: ...

    NAME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    TENSOR_SHAPE_FIELD_NUMBER: _ClassVar[int]
    COO_SPARSE_FIELD_NUMBER: _ClassVar[int]
    COMPOSITE_TENSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    dtype: int
    tensor_shape: TensorShapeProto
    coo_sparse: TensorInfo.CooSparse
    composite_tensor: TensorInfo.CompositeTensor
    def __init__(
        self,
        name: str | None = ...,
        dtype: int | None = ...,
        tensor_shape: TensorShapeProto | _Mapping | None = ...,
        coo_sparse: TensorInfo.CooSparse | _Mapping | None = ...,
        composite_tensor: TensorInfo.CompositeTensor | _Mapping | None = ...,
    ) -> None: ...

class TensorShapeProto(_message.Message):
    __slots__ = ("dim", "unknown_rank")
    class Dim(_message.Message):
        __slots__ = ("size",)
        SIZE_FIELD_NUMBER: _ClassVar[int]
        size: int
        def __init__(self, size: int | None = ...) -> None: ...

    DIM_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_RANK_FIELD_NUMBER: _ClassVar[int]
    dim: _containers.RepeatedCompositeFieldContainer[TensorShapeProto.Dim]
    unknown_rank: bool
    def __init__(
        self, dim: _Iterable[TensorShapeProto.Dim | _Mapping] | None = ..., unknown_rank: bool = ...
    ) -> None: ...

class GraphDef(_message.Message):
    __slots__ = ("library", "node")
    NODE_FIELD_NUMBER: _ClassVar[int]
    LIBRARY_FIELD_NUMBER: _ClassVar[int]
    node: _containers.RepeatedCompositeFieldContainer[NodeDef]
    library: FunctionDefLibrary
    def __init__(
        self,
        node: _Iterable[NodeDef | _Mapping] | None = ...,
        library: FunctionDefLibrary | _Mapping | None = ...,
    ) -> None: ...

class NodeDef(_message.Message):
    __slots__ = ("attr", "input", "name", "op")
    class AttrEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttrValue
        def __init__(
            self, key: str | None = ..., value: AttrValue | _Mapping | None = ...
        ) -> None: ...

    NAME_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ATTR_FIELD_NUMBER: _ClassVar[int]
    name: str
    op: str
    input: _containers.RepeatedScalarFieldContainer[str]
    attr: _containers.MessageMap[str, AttrValue]
    def __init__(
        self,
        name: str | None = ...,
        op: str | None = ...,
        input: _Iterable[str] | None = ...,
        attr: _Mapping[str, AttrValue] | None = ...,
    ) -> None: ...

class AttrValue(_message.Message):
    __slots__ = ("func", "list", "s")
    class ListValue(_message.Message):
        __slots__ = ("func",)
        FUNC_FIELD_NUMBER: _ClassVar[int]
        func: _containers.RepeatedCompositeFieldContainer[NameAttrList]
        def __init__(self, func: _Iterable[NameAttrList | _Mapping] | None = ...) -> None: ...

    LIST_FIELD_NUMBER: _ClassVar[int]
    S_FIELD_NUMBER: _ClassVar[int]
    FUNC_FIELD_NUMBER: _ClassVar[int]
    list: AttrValue.ListValue
    s: bytes
    func: NameAttrList
    def __init__(
        self,
        list: AttrValue.ListValue | _Mapping | None = ...,
        s: bytes | None = ...,
        func: NameAttrList | _Mapping | None = ...,
    ) -> None: ...

class NameAttrList(_message.Message):
    __slots__ = ("attr", "name")
    class AttrEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttrValue
        def __init__(
            self, key: str | None = ..., value: AttrValue | _Mapping | None = ...
        ) -> None: ...

    NAME_FIELD_NUMBER: _ClassVar[int]
    ATTR_FIELD_NUMBER: _ClassVar[int]
    name: str
    attr: _containers.MessageMap[str, AttrValue]
    def __init__(
        self, name: str | None = ..., attr: _Mapping[str, AttrValue] | None = ...
    ) -> None: ...

class FunctionDefLibrary(_message.Message):
    __slots__ = ("function",)
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    function: _containers.RepeatedCompositeFieldContainer[FunctionDef]
    def __init__(self, function: _Iterable[FunctionDef | _Mapping] | None = ...) -> None: ...

class FunctionDef(_message.Message):
    __slots__ = ("attr", "node_def", "ret", "signature")
    class RetEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: str | None = ..., value: str | None = ...) -> None: ...

    class AttrEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AttrValue
        def __init__(
            self, key: str | None = ..., value: AttrValue | _Mapping | None = ...
        ) -> None: ...

    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    NODE_DEF_FIELD_NUMBER: _ClassVar[int]
    RET_FIELD_NUMBER: _ClassVar[int]
    ATTR_FIELD_NUMBER: _ClassVar[int]
    signature: OpDef
    node_def: _containers.RepeatedCompositeFieldContainer[NodeDef]
    ret: _containers.ScalarMap[str, str]
    attr: _containers.MessageMap[str, AttrValue]
    def __init__(
        self,
        signature: OpDef | _Mapping | None = ...,
        node_def: _Iterable[NodeDef | _Mapping] | None = ...,
        ret: _Mapping[str, str] | None = ...,
        attr: _Mapping[str, AttrValue] | None = ...,
    ) -> None: ...

class OpDef(_message.Message):
    __slots__ = ("input_arg", "name", "output_arg")
    class ArgDef(_message.Message):
        __slots__ = ("name",)
        NAME_FIELD_NUMBER: _ClassVar[int]
        name: str
        def __init__(self, name: str | None = ...) -> None: ...

    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUT_ARG_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_ARG_FIELD_NUMBER: _ClassVar[int]
    name: str
    input_arg: _containers.RepeatedCompositeFieldContainer[OpDef.ArgDef]
    output_arg: _containers.RepeatedCompositeFieldContainer[OpDef.ArgDef]
    def __init__(
        self,
        name: str | None = ...,
        input_arg: _Iterable[OpDef.ArgDef | _Mapping] | None = ...,
        output_arg: _Iterable[OpDef.ArgDef | _Mapping] | None = ...,
    ) -> None: ...

class SaverDef(_message.Message):
    __slots__ = ("filename_tensor_name", "restore_op_name", "save_tensor_name")
    FILENAME_TENSOR_NAME_FIELD_NUMBER: _ClassVar[int]
    SAVE_TENSOR_NAME_FIELD_NUMBER: _ClassVar[int]
    RESTORE_OP_NAME_FIELD_NUMBER: _ClassVar[int]
    filename_tensor_name: str
    save_tensor_name: str
    restore_op_name: str
    def __init__(
        self,
        filename_tensor_name: str | None = ...,
        save_tensor_name: str | None = ...,
        restore_op_name: str | None = ...,
    ) -> None: ...

class CollectionDef(_message.Message):
    __slots__ = ("node_list",)
    class NodeList(_message.Message):
        __slots__ = ("value",)
        VALUE_FIELD_NUMBER: _ClassVar[int]
        value: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, value: _Iterable[str] | None = ...) -> None: ...

    NODE_LIST_FIELD_NUMBER: _ClassVar[int]
    node_list: CollectionDef.NodeList
    def __init__(self, node_list: CollectionDef.NodeList | _Mapping | None = ...) -> None: ...

class SavedObjectGraph(_message.Message):
    __slots__ = ("concrete_functions",)
    class ConcreteFunctionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SavedConcreteFunction
        def __init__(
            self, key: str | None = ..., value: SavedConcreteFunction | _Mapping | None = ...
        ) -> None: ...

    CONCRETE_FUNCTIONS_FIELD_NUMBER: _ClassVar[int]
    concrete_functions: _containers.MessageMap[str, SavedConcreteFunction]
    def __init__(
        self, concrete_functions: _Mapping[str, SavedConcreteFunction] | None = ...
    ) -> None: ...

class SavedConcreteFunction(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
