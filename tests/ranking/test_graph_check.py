import shutil

import pytest

pytest.importorskip("tensorflow")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from audotics.errors import DamagedError
from audotics.ranking.batches import model_inputs
from audotics.ranking.runtimes.graph_check import check_saved_model
from audotics.ranking.runtimes.litert import LiteRTRuntime
from audotics.ranking.runtimes.tensorflow import TensorFlowRuntime
from contract.ranking_lists import random_inputs

SPEC = [tf.TensorSpec([None], tf.float32)]


def saved(folder, function, **attributes):
    """A SavedModel whose signature runs the function."""
    module = tf.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    traced = tf.function(function, input_signature=SPEC)
    module.serve = traced
    tf.saved_model.save(module, str(folder), signatures={"serving_default": traced})
    return folder


def edited(folder, edit):
    """The SavedModel after a change of its protobuf."""
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    edit(model.meta_graphs[0])
    path.write_bytes(model.SerializeToString())


class TestRefused:
    @pytest.mark.parametrize(
        ("operation", "function"),
        [
            ("WriteFile", lambda path, x: tf.io.write_file(path, "x")),
            ("ReadFile", lambda path, x: tf.io.read_file(path)),
            ("PrintV2", lambda path, x: tf.print(x, output_stream="file://" + path)),
            ("EagerPyFunc", lambda path, x: tf.py_function(lambda one: one, [x], tf.float32)),
            ("SaveV2", lambda path, x: tf.raw_ops.SaveV2(
                prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[x])),
            ("RestoreV2", lambda path, x: tf.raw_ops.RestoreV2(
                prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])),
        ],
    )  # fmt: skip
    def test_operations_that_do_more_than_compute(self, tmp_path, operation, function):
        told = str(tmp_path / "written")

        def serve(x):
            function(told, x)
            return {"play": x + 1}

        folder = saved(tmp_path / "model", serve)
        with pytest.raises(
            DamagedError, match=rf"more than compute: .*{operation}.*saved_model\.pb|{operation}"
        ):
            check_saved_model(folder)
        with pytest.raises(DamagedError, match=operation):
            TensorFlowRuntime(folder)
        assert not (tmp_path / "written").exists()

    def test_operations_hidden_in_a_branch(self, tmp_path):
        def serve(x):
            wrote = tf.cond(tf.reduce_sum(x) > 1e9, lambda: _write(tmp_path / "written"), lambda: x)
            return {"play": wrote}

        def _write(path):
            tf.io.write_file(str(path), "x")
            return tf.zeros([1])

        with pytest.raises(DamagedError, match="WriteFile"):
            check_saved_model(saved(tmp_path / "model", serve))

    def test_other_files(self, tmp_path):
        asset = tmp_path / "words.txt"
        asset.write_text("x")
        folder = saved(tmp_path / "model", lambda x: {"play": x}, words=tf.saved_model.Asset(str(asset)))
        with pytest.raises(DamagedError, match="reads other files"):
            check_saved_model(folder)

    def test_a_signature_that_is_the_function_that_writes_weights(self, tmp_path):
        folder = saved(tmp_path / "model", lambda x: {"play": x}, weight=tf.Variable([1.0]))

        def edit(graph):
            output = graph.signature_def["serving_default"].outputs["play"]
            output.name = graph.saver_def.save_tensor_name

        edited(folder, edit)
        with pytest.raises(DamagedError, match="writes or reads its weights"):
            check_saved_model(folder)

    def test_a_function_that_calls_the_one_that_writes_weights(self, tmp_path):
        folder = saved(tmp_path / "model", lambda x: {"play": x}, weight=tf.Variable([1.0]))

        def edit(graph):
            functions = graph.graph_def.library.function
            (saver,) = [one.signature.name for one in functions if "traced_save" in one.signature.name]
            serving = next(one for one in functions if "signature_wrapper" in one.signature.name)
            node = serving.node_def.add(name="hidden", op="StatefulPartitionedCall")
            node.attr["f"].func.name = saver

        edited(folder, edit)
        with pytest.raises(DamagedError, match="SaveV2"):
            check_saved_model(folder)

    @pytest.mark.parametrize("content", [None, b"", b"\xff\xff nothing"])
    def test_what_is_no_model(self, tmp_path, content):
        if content is not None:
            (tmp_path / "saved_model.pb").write_bytes(content)
        with pytest.raises(DamagedError, match=r"saved_model\.pb"):
            check_saved_model(tmp_path)


class TestOurs:
    def test_pass(self, deep_version, exported):
        for folder in deep_version.folder.rglob("saved_model/1"):
            check_saved_model(folder)
        check_saved_model(exported / "audotics" / str(deep_version.number))

    def test_tensorflow_scores_as_litert_does(self, deep_version):
        folder = deep_version.folder / "ranker/many/deep"
        inputs = model_inputs(random_inputs(np.random.default_rng(1), n_lists=4, width=30))
        near, far = LiteRTRuntime(folder / "model.tflite"), TensorFlowRuntime(folder / "saved_model/1")
        np.testing.assert_allclose(far(inputs)["play"], near(inputs)["play"], atol=1e-5)

    def test_a_damaged_one_is_said_so(self, deep_version, tmp_path):
        folder = tmp_path / "model"
        shutil.copytree(deep_version.folder / "ranker/many/deep/saved_model/1", folder)
        (folder / "variables" / "variables.data-00000-of-00001").unlink()
        with pytest.raises(DamagedError, match="cannot be loaded"):
            TensorFlowRuntime(folder)
