"""The messages of TensorFlow Serving's prediction service, as far as scoring needs them.

The public package of these messages, tensorflow-serving-api, brings TensorFlow whole. Here the same
fields, by their public numbers, are declared in a pool of descriptors of their own, so that what is sent
is the same to the byte and neither package disturbs the other. Fields that are left out pass unread.

Sources: ``tensorflow_serving/apis/{model,predict,prediction_log}.proto`` and
``tensorflow/core/framework/{tensor,tensor_shape,types}.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.errors import MissingExtraError

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError
except ImportError as error:
    raise MissingExtraError("scoring through TensorFlow Serving", "tf-serving") from error

_PACKAGE = "tensorflow.serving"
_Field = descriptor_pb2.FieldDescriptorProto
_INT32, _INT64, _FLOAT = _Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_FLOAT
_BOOL, _STRING, _BYTES = _Field.TYPE_BOOL, _Field.TYPE_STRING, _Field.TYPE_BYTES

# Name, number and type of every field; a type that is a text names a message, "*" before it a list of them,
# "map" before it a map from texts.
_MESSAGES: dict[str, tuple[tuple[str, int, int | str], ...]] = {
    "Int64Value": (("value", 1, _INT64),),
    "ModelSpec": (("name", 1, _STRING), ("version", 2, "Int64Value"), ("signature_name", 3, _STRING)),
    "Dim": (("size", 1, _INT64), ("name", 2, _STRING)),
    "TensorShapeProto": (("dim", 2, "*Dim"), ("unknown_rank", 3, _BOOL)),
    "TensorProto": (
        ("dtype", 1, _INT32),  # an enum; the same on the wire
        ("tensor_shape", 2, "TensorShapeProto"),
        ("tensor_content", 4, _BYTES),
        ("float_val", 5, "*float"),
    ),
    "PredictRequest": (("model_spec", 1, "ModelSpec"), ("inputs", 2, "map TensorProto")),
    "PredictResponse": (("model_spec", 2, "ModelSpec"), ("outputs", 1, "map TensorProto")),
    "PredictLog": (("request", 1, "PredictRequest"),),
    "PredictionLog": (("predict_log", 6, "PredictLog"),),
}

_DT_FLOAT, _DT_INT32 = 1, 3
_DTYPES: dict[np.dtype[Any], int] = {np.dtype(np.float32): _DT_FLOAT, np.dtype(np.int32): _DT_INT32}


def _add_field(message: Any, name: str, number: int, kind: int | str) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if isinstance(kind, int):
        field.type = kind
    elif kind == "*float":
        field.type, field.label = _FLOAT, _Field.LABEL_REPEATED
    elif kind.startswith("map "):
        # A map on the wire is a list of entries.
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, _STRING)
        _add_field(entry, "value", 2, kind.removeprefix("map "))
        field.type, field.label = _Field.TYPE_MESSAGE, _Field.LABEL_REPEATED
        field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind.removeprefix('*')}"
        field.label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL


def _message_classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="predict.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, *field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _message_classes()


def predict_request(
    model: str, version: int, signature: str, tensors: Mapping[str, npt.NDArray[Any]]
) -> bytes:
    """A PredictRequest.

    Args:
        model: Name of the model.
        version: Number of its version.
        signature: What of it to run.
        tensors: Inputs by name, float32 or int32.
    """
    return bytes(_request(model, version, signature, tensors).SerializeToString(deterministic=True))


def prediction_log(
    model: str, version: int, signature: str, tensors: Mapping[str, npt.NDArray[Any]]
) -> bytes:
    """The PredictionLog of a request, as warm-up records hold it."""
    log = _CLASSES["PredictionLog"]()
    log.predict_log.request.CopyFrom(_request(model, version, signature, tensors))
    return bytes(log.SerializeToString(deterministic=True))


def read_response(data: bytes) -> tuple[int, dict[str, npt.NDArray[np.float32]]]:
    """Version and outputs by name of a PredictResponse.

    Raises:
        ValueError: It is none, or a tensor in it is not of floats or not of its own shape.
    """
    response = _CLASSES["PredictResponse"]()
    try:
        response.ParseFromString(data)
    except DecodeError as error:
        raise ValueError("not a PredictResponse") from error
    outputs = {name: _read_tensor(tensor) for name, tensor in response.outputs.items()}
    return int(response.model_spec.version.value), outputs


def _request(model: str, version: int, signature: str, tensors: Mapping[str, npt.NDArray[Any]]) -> Any:
    request = _CLASSES["PredictRequest"]()
    request.model_spec.name = model
    request.model_spec.version.value = version
    request.model_spec.signature_name = signature
    for name, array in tensors.items():
        tensor = request.inputs[name]
        tensor.dtype = _DTYPES[array.dtype]
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        # The server reads these bytes as they lie: little-endian on every machine it runs on.
        tensor.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return request


def _read_tensor(tensor: Any) -> npt.NDArray[np.float32]:
    if tensor.dtype != _DT_FLOAT:
        raise ValueError(f"a tensor of type {tensor.dtype} instead of floats")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if min(shape, default=0) < 0:
        raise ValueError(f"a tensor of shape {shape}")
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, "<f4").astype(np.float32, copy=False)
    else:
        values = np.fromiter(tensor.float_val, np.float32, len(tensor.float_val))
    return values.reshape(shape)
