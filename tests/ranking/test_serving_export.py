import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from audotics.errors import BadInputError, DamagedError
from audotics.ranking.batches import model_inputs
from audotics.ranking.linear import LinearRanker
from audotics.ranking.runtimes.litert import LiteRTRuntime
from audotics.ranking.serving_export import export_for_tf_serving
from contract.ranking_lists import linear_examples, random_inputs


@pytest.fixture
def numbered(exported, deep_version):
    return exported / "audotics" / str(deep_version.number)


@pytest.fixture
def copy(deep_version, tmp_path):
    """The version's folder, to be changed."""
    return shutil.copytree(deep_version.folder, tmp_path / "version")


class TestLayout:
    def test_one_numbered_folder_and_nothing_else(self, exported, deep_version, numbered):
        assert [path.name for path in (exported / "audotics").iterdir()] == [numbered.name]
        for name in (
            "saved_model.pb",
            "variables/variables.index",
            "assets.extra/tf_serving_warmup_requests",
        ):
            assert (numbered / name).is_file()

    def test_each_deep_ranker_has_a_signature_with_its_scores(self, deep_version, numbered):
        signatures = tf.saved_model.load(str(numbered)).signatures
        parts = {"ranker_many_deep": "ranker/many/deep", "heard_ranker": "heard/ranker"}
        assert set(signatures) == {*parts, "serving_default"}
        inputs = model_inputs(random_inputs(np.random.default_rng(2), n_lists=3, width=40))
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        for name, part in parts.items():
            near = LiteRTRuntime(deep_version.folder / part / "model.tflite")(inputs)
            far = signatures[name](**tensors)
            assert set(far) == set(near)
            for head, logits in near.items():
                np.testing.assert_allclose(far[head], logits, atol=1e-5)
        default, first = signatures["serving_default"](**tensors), signatures["ranker_many_deep"](**tensors)
        np.testing.assert_array_equal(default["play"], first["play"])

    def test_a_request_carries_ids_context_and_features_of_candidates_only(self, numbered):
        inputs = (
            tf.saved_model.load(str(numbered)).signatures["serving_default"].structured_input_signature[1]
        )
        shapes = {name: spec.shape.as_list() for name, spec in inputs.items()}
        assert shapes == {
            "features": [None, None, 6],
            "track_index": [None, None],
            "user_index": [None],
            "context": [None, 3],
            "recent": [None, 5],
        }

    def test_warm_up_records_are_requests_of_every_signature(self, deep_version, numbered):
        path = str(numbered / "assets.extra" / "tf_serving_warmup_requests")
        requests = [
            prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator()
        ]
        assert {request.model_spec.signature_name for request in requests} == {
            "ranker_many_deep",
            "heard_ranker",
        }
        signatures = tf.saved_model.load(str(numbered)).signatures
        for request in requests:
            assert request.model_spec.name == "audotics"
            assert request.model_spec.version.value == deep_version.number
            inputs = {name: tf.constant(tf.make_ndarray(one)) for name, one in request.inputs.items()}
            outputs = signatures[request.model_spec.signature_name](**inputs)
            assert np.isfinite(outputs["play"]).all()

    def test_the_configuration_is_one_that_the_server_reads(self, exported):
        text = (exported / "models.config").read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        (model,) = config.model_config_list.config
        assert (model.name, model.base_path) == ("audotics", "/models/audotics")
        assert model.model_version_policy.latest.num_versions == 2

    @pytest.mark.parametrize("name", ["models.config", "batching.config"])
    def test_the_deployment_files_are_those_that_are_written(self, exported, name):
        deployed = Path(__file__).parents[2] / "deploy" / "tf-serving" / name
        assert deployed.read_text() == (exported / name).read_text()


class TestAgain:
    def test_a_second_version_stands_beside_the_first(self, deep_version, exported, tmp_path):
        target = shutil.copytree(exported, tmp_path / "export")
        (target / "models.config").write_text("# mine")
        done = export_for_tf_serving(deep_version.folder, "20261124T000000Z-0001", target)
        assert done.folder.name == "2026112400000000001"
        assert len(list((target / "audotics").iterdir())) == 2
        assert (target / "models.config").read_text() == "# mine"

    def test_the_same_version_is_not_written_again(self, deep_version, exported):
        with pytest.raises(BadInputError, match="is there already"):
            export_for_tf_serving(deep_version.folder, deep_version.version, exported)


class TestRefused:
    def test_a_version_without_a_deep_ranker_says_what_it_ranks_with(self, tmp_path):
        folder = tmp_path / "ranker"
        folder.mkdir()
        LinearRanker().fit(linear_examples(seed=1), linear_examples(seed=2)).save(folder)
        with pytest.raises(BadInputError, match="no deep ranker; it ranks with linear"):
            export_for_tf_serving(tmp_path, "20261124T000000Z-0001", tmp_path / "export")
        assert not (tmp_path / "export").exists()

    def test_a_graph_that_could_do_more_leaves_nothing_behind(self, copy, tmp_path):
        module = tf.Module()
        module.serve = tf.function(
            lambda x: {"play": tf.io.read_file("/etc/hostname")},
            input_signature=[tf.TensorSpec([], tf.float32)],
        )
        bad = copy / "heard/ranker/saved_model/1"
        shutil.rmtree(bad)
        tf.saved_model.save(module, str(bad), signatures={"serving_default": module.serve})
        with pytest.raises(DamagedError, match="ReadFile"):
            export_for_tf_serving(copy, "20261124T000000Z-0001", tmp_path / "export")
        assert list((tmp_path / "export" / "audotics").iterdir()) == []

    def test_settings_that_cannot_be_read_are_named(self, copy, tmp_path):
        (copy / "ranker" / "ranker.json").write_text("{")
        with pytest.raises(DamagedError, match=r"ranker\.json"):
            export_for_tf_serving(copy, "20261124T000000Z-0001", tmp_path / "export")

    def test_a_graph_that_is_missing_is_named(self, copy, tmp_path):
        settings = json.loads((copy / "heard/ranker/ranker.json").read_text())
        assert settings["ranker"] == "deep"
        shutil.rmtree(copy / "heard/ranker/saved_model")
        with pytest.raises(DamagedError, match="saved_model"):
            export_for_tf_serving(copy, "20261124T000000Z-0001", tmp_path / "export")
