"""Our few messages beside TensorFlow Serving's own."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

pytest.importorskip("tensorflow_serving")

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from audotics.errors import BadInputError
from audotics.ranking.runtimes.messages import predict_request, prediction_log, read_response
from audotics.ranking.runtimes.naming import signature_name, version_number
from audotics.registry.names import version_at

FLOATS = arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=4))
INTS = arrays.arrays(np.int32, arrays.array_shapes(max_dims=3, max_side=4))

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(9221, 1, 1), timezones=st.just(UTC))


def theirs(version, signature, tensors):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "audotics"
    request.model_spec.version.value = version
    request.model_spec.signature_name = signature
    for name, array in tensors.items():
        tensor = request.inputs[name]
        tensor.dtype = tf.as_dtype(array.dtype).as_datatype_enum
        tensor.tensor_shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
        tensor.tensor_content = array.tobytes()
    return request


@given(st.integers(1, 2**63 - 1), st.text(max_size=8), FLOATS, INTS)
def test_a_request_is_the_same_to_the_byte(version, signature, floats, ints):
    tensors = {"track_index": ints, "features": floats}
    ours = predict_request("audotics", version, signature, tensors)
    assert ours == theirs(version, signature, tensors).SerializeToString(deterministic=True)


@given(FLOATS, INTS)
def test_their_stubs_read_the_arrays_that_were_sent(floats, ints):
    request = predict_pb2.PredictRequest.FromString(
        predict_request("audotics", 7, "s", {"a": floats, "b": ints})
    )
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["a"]), floats)
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["b"]), ints)


def test_a_warm_up_record_is_the_same_to_the_byte():
    tensors = {"features": np.ones((1, 2, 3), np.float32)}
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(theirs(7, "ranker", tensors))
    assert prediction_log("audotics", 7, "ranker", tensors) == log.SerializeToString(deterministic=True)


@given(FLOATS, st.booleans())
def test_an_answer_is_read_however_its_values_are_stored(values, as_content):
    response = predict_pb2.PredictResponse()
    response.model_spec.version.value = 12
    tensor = response.outputs["play"]
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.tensor_shape.CopyFrom(tf.TensorShape(values.shape).as_proto())
    if as_content:
        tensor.tensor_content = values.tobytes()
    else:
        tensor.float_val.extend(values.ravel().tolist())
    version, outputs = read_response(response.SerializeToString())
    assert version == 12
    assert outputs["play"].dtype == np.float32
    np.testing.assert_array_equal(outputs["play"], values)


@given(st.binary(max_size=60))
def test_anything_else_is_an_error_or_empty(data):
    try:
        _, outputs = read_response(data)
    except ValueError:
        return
    assert all(array.dtype == np.float32 for array in outputs.values())


@pytest.mark.parametrize(
    ("dtype", "shape", "n_values", "says"),
    [
        ("float32", [2, 2], 3, "reshape"),
        ("float32", [-1, 2], 2, "shape"),
        ("int32", [2], 2, "type 3"),
        ("float32", [2**40], 1, "reshape"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_an_error(dtype, shape, n_values, says):
    response = predict_pb2.PredictResponse()
    tensor = response.outputs["play"]
    tensor.dtype = tf.as_dtype(dtype).as_datatype_enum
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend([1.0] * n_values)
    with pytest.raises(ValueError, match=says):
        read_response(response.SerializeToString())


class TestNames:
    def test_a_version_has_a_number(self):
        assert version_number("20261123T101500Z-3f2a") == 2026112310150016170

    @given(TIMES, TIMES)
    def test_numbers_sort_as_versions_do_and_fit(self, one, other):
        first, second = version_at(one), version_at(other)
        assert (first < second) == (version_number(first) < version_number(second))
        assert version_number(first) < 2**63

    @pytest.mark.parametrize("name", ["champion", "latest", "20261123T101500Z"])
    def test_what_is_no_version_has_none(self, name):
        with pytest.raises(BadInputError, match=name):
            version_number(name)

    def test_a_folder_has_a_signature(self, tmp_path):
        folder = tmp_path / "heard" / "by-history" / "deep"
        assert signature_name(folder.relative_to(tmp_path)) == "heard_by_history_deep"
