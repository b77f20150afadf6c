"""What a SavedModel may do, read from its files before anything is loaded.

A graph is a program: one with a ``WriteFile`` in it writes the file when it is run, and what a loader runs
to initialise a model is part of the graph too. So only operations that compute pass. A SavedModel reads
and writes its weights by operations of its own, too; those pass in the two functions that do nothing else,
if nothing that serves reaches them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from audotics.errors import DamagedError, MissingExtraError

ALLOWED = frozenset(
    {
        # Of models
        *("Add", "AddN", "AddV2", "All", "Any", "ArgMax", "BatchMatMul", "BatchMatMulV2", "BiasAdd"),
        *("BroadcastTo", "Cast", "ClipByValue", "Concat", "ConcatV2", "Const", "Cumsum", "Einsum", "Elu"),
        *("Equal", "Erf", "Exp", "ExpandDims", "Fill", "FloorDiv", "FloorMod", "Gather", "GatherNd"),
        *("GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN", "IsFinite", "IsInf", "IsNan"),
        *("LeakyRelu", "Less", "LessEqual", "Log", "Log1p", "LogSoftmax", "LogicalAnd", "LogicalNot"),
        *("LogicalOr", "MatMul", "Max", "Maximum", "Mean", "Min", "Minimum", "Mul", "Neg", "NotEqual"),
        *("OneHot", "OnesLike", "Pack", "Pad", "PadV2", "Pow", "Prod", "Range", "Rank", "RealDiv"),
        *("Reciprocal", "Relu", "Relu6", "Reshape", "ResourceGather", "Round", "Rsqrt", "Select"),
        *("SelectV2", "Shape", "ShapeN", "Sigmoid", "Sign", "Size", "Slice", "Softmax", "Softplus"),
        *("Split", "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze", "StopGradient"),
        *("StridedSlice", "Sub", "Sum", "Tanh", "Tile", "TopKV2", "Transpose", "Unpack", "Where"),
        "ZerosLike",
        # Of their variables and functions
        *("AssignVariableOp", "DisableCopyOnRead", "NoOp", "PartitionedCall", "Placeholder"),
        *("PlaceholderWithDefault", "ReadVariableOp", "StatefulPartitionedCall", "VarHandleOp"),
        "VarIsInitializedOp",
    }
)

_OF_SAVERS = ALLOWED | {
    *("MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"),
}


def check_saved_model(folder: Path) -> None:
    """Refuse a SavedModel with operations that are not on the list.

    Args:
        folder: Holds ``saved_model.pb``.

    Raises:
        DamagedError: It is none, or not one that only computes.
        MissingExtraError: TensorFlow is not installed.
    """
    try:
        from google.protobuf.message import DecodeError
        from tensorflow.core.protobuf import saved_model_pb2
    except ImportError as error:
        raise MissingExtraError("reading a SavedModel", "tensorflow") from error
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise DamagedError("the exported model cannot be read", where=str(path)) from error
    if not saved.meta_graphs:
        raise DamagedError("there is no graph in the exported model", where=str(path))
    for graph in saved.meta_graphs:
        _check_graph(graph, str(path))


def _check_graph(graph: Any, where: str) -> None:
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    savers = _saver_nodes(graph)
    serving = [node for node in graph.graph_def.node if node.name not in savers]
    saving = [node for node in graph.graph_def.node if node.name in savers]
    published = set(graph.object_graph_def.concrete_functions)
    reached = _reached(functions, _called(serving) | published)
    only_saving = _reached(functions, _called(saving)) - reached
    if savers & _mentioned(serving, graph):
        raise DamagedError("what the exported model serves writes or reads its weights", where=where)
    found = _operations(serving) | _operations(saving)
    for name, function in functions.items():
        if name not in only_saving:
            found |= _operations(function.node_def)
        elif refused := _operations(function.node_def) - _OF_SAVERS:
            raise _refusal(refused, where)
    if refused := found - ALLOWED:
        raise _refusal(refused, where)
    if graph.asset_file_def:
        raise DamagedError("the exported model reads other files", where=where)


def _refusal(operations: Iterable[str], where: str) -> DamagedError:
    return DamagedError(
        f"the exported model has operations that do more than compute: {', '.join(sorted(operations))}",
        where=where,
        remedy="Do not load it; export the version again from where it was trained",
    )


def _saver_nodes(graph: Any) -> set[str]:
    """The two nodes that write and read the weights."""
    tensors = (graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name)
    return {tensor.partition(":")[0] for tensor in tensors}


def _operations(nodes: Iterable[Any]) -> set[str]:
    return {node.op for node in nodes}


def _mentioned(nodes: Iterable[Any], graph: Any) -> set[str]:
    """Names of the nodes whose outputs these nodes or the signatures read."""
    tensors = [tensor for node in nodes for tensor in node.input]
    for signature in graph.signature_def.values():
        tensors.extend(info.name for info in (*signature.inputs.values(), *signature.outputs.values()))
    return {tensor.removeprefix("^").partition(":")[0] for tensor in tensors}


def _called(nodes: Iterable[Any]) -> set[str]:
    """Names of functions that nodes mention."""
    return {name for node in nodes for value in node.attr.values() for name in _names(value)}


def _names(value: Any) -> Iterator[str]:
    if value.WhichOneof("value") == "func":
        yield value.func.name
        for inner in value.func.attr.values():
            yield from _names(inner)
    for function in value.list.func:
        yield function.name


def _reached(functions: dict[str, Any], names: set[str]) -> set[str]:
    """The functions of these names and all that they call."""
    reached: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in functions and name not in reached:
            reached.add(name)
            left.extend(_called(functions[name].node_def))
    return reached
