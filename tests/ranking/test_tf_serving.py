"""Scoring through a server built on TensorFlow Serving's own stubs, in another process, with real faults."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")

from audotics.errors import OpenCircuitError, UnavailableError
from audotics.ranking.batches import model_inputs
from audotics.ranking.by_history import ByHistoryRanker
from audotics.ranking.deep import DeepRanker
from audotics.ranking.runtimes.choice import ScorerChoice
from audotics.ranking.runtimes.grpc_endpoint import GrpcEndpoint
from audotics.ranking.runtimes.litert import LiteRTRuntime
from audotics.ranking.runtimes.rest_endpoint import RestEndpoint
from audotics.ranking.runtimes.tf_serving import ServedModel, TFServingRuntime
from contract.ranking_lists import linear_examples, random_inputs
from contract.services import wait_until
from contract.tf_serving import TFServing

LONG_S = 20.0
"""For answers that have to come, on a machine that is busy."""
SHORT_S = 0.15
"""For answers that do not come."""
MARGIN_S = 0.25
"""What a busy machine may take beyond a deadline before the caller runs again."""

SIGNATURE = "heard_ranker"
HEADS = ("play", "skip")


@pytest.fixture(scope="module")
def replicas(exported, tmp_path_factory):
    """Two servers of the same export."""
    both = [TFServing(tmp_path_factory.mktemp("tf-serving"), exported) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(TFServing.start, both))
    yield both
    for server in both:
        server.stop()


@pytest.fixture
def server(replicas):
    """The first of them, well."""
    for replica in replicas:
        replica.recover()
        replica.fault()
    yield replicas[0]
    for replica in replicas:
        replica.recover()
        replica.fault()


@pytest.fixture(params=["grpc", "http"])
def way(request):
    """Makes endpoints for servers."""
    return {
        "grpc": lambda server: GrpcEndpoint(server.grpc_address),
        "http": lambda server: RestEndpoint(server.rest_address),
    }[request.param]


@pytest.fixture
def model(deep_version):
    """Makes models; they are closed afterwards."""
    made = []

    def make(*endpoints, deadline_s=LONG_S, check_s=60.0, version=deep_version.number):
        made.append(ServedModel(endpoints, version, deadline_s=deadline_s, check_s=check_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def inputs():
    return model_inputs(random_inputs(np.random.default_rng(3), n_lists=3, width=50))


def ask(model, inputs):
    return model.ask(SIGNATURE, inputs, HEADS)


class TestScores:
    @pytest.mark.parametrize(("n_lists", "width"), [(1, 500), (3, 50), (70, 20), (1, 1), (1, 1500)])
    def test_equal_those_of_litert(self, server, way, model, deep_version, n_lists, width):
        inputs = model_inputs(random_inputs(np.random.default_rng(5), n_lists, width, n_tracks=2000))
        inputs["track_index"] %= 120  # some tracks are not known to the model
        near = LiteRTRuntime(deep_version.folder / "heard/ranker/model.tflite")(inputs)
        far = TFServingRuntime(model(way(server)), SIGNATURE, HEADS)(inputs)
        assert set(far) == set(HEADS)
        for head in HEADS:
            assert far[head].shape == (n_lists, width)
            np.testing.assert_allclose(far[head], near[head], atol=1e-5, rtol=0)

    @pytest.mark.parametrize(("n_lists", "width"), [(0, 5), (3, 0)])
    def test_nothing_asked_is_nothing_sent(self, server, way, model, n_lists, width):
        inputs = model_inputs(random_inputs(np.random.default_rng(5), 3, 5))
        empty = {name: array[:n_lists] for name, array in inputs.items()}
        empty |= {name: empty[name][:, :width] for name in ("features", "track_index")}
        before = server.n_requests
        scores = TFServingRuntime(model(way(server)), SIGNATURE, HEADS)(empty)
        assert scores["play"].shape == (n_lists, width)
        assert server.n_requests == before

    def test_lists_are_sent_equally_wide(self, server, way, model):
        class Watching:
            """The real endpoint, and the widths that went through it."""

            def __init__(self, endpoint):
                self.endpoint, self.address, self.widths = endpoint, endpoint.address, []
                self.connect, self.close = endpoint.connect, endpoint.close

            def predict(self, version, signature, tensors, timeout_s):
                self.widths.append(tensors["features"].shape[1])
                return self.endpoint.predict(version, signature, tensors, timeout_s)

        watching = Watching(way(server))
        runtime = TFServingRuntime(model(watching), SIGNATURE, HEADS)
        for width in (300, 20, 1500, 380):
            runtime(model_inputs(random_inputs(np.random.default_rng(1), 1, width, n_tracks=2000)))
        assert watching.widths == [384, 384, 1536, 1024]

    def test_only_the_deep_parts_of_a_composition_are_scored_elsewhere(self, server, deep_version):
        choice = ScorerChoice.parse(f"grpc://{server.grpc_address}")
        runtime = choice.runtime(deep_version.folder, deep_version.version, LONG_S)
        near = ByHistoryRanker.load(deep_version.folder / "ranker")
        far = ByHistoryRanker.load(deep_version.folder / "ranker", runtime)
        inputs = linear_examples(seed=4, n_lists=20).inputs
        before = server.n_requests
        np.testing.assert_allclose(far.score(inputs), near.score(inputs), atol=1e-5)
        assert server.n_requests == before + 1

    def test_the_deep_ranker_gives_the_same_probabilities(self, server, deep_version):
        choice = ScorerChoice.parse(f"http://{server.rest_address}")
        runtime = choice.runtime(deep_version.folder, deep_version.version, LONG_S)
        near, far = (DeepRanker.load(deep_version.folder / "heard/ranker", one) for one in (None, runtime))
        inputs = linear_examples(seed=4, n_lists=5).inputs
        for head, chance in near.probabilities(inputs).items():
            np.testing.assert_allclose(far.probabilities(inputs)[head], chance, atol=1e-5)


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("error", "asked for"),
            ("garbage", "not an answer"),
            ("narrow", "shape"),
            ("headless", "no 'play'"),
        ],
    )
    def test_wrong_answers_are_failures(self, server, way, model, inputs, fault, says):
        server.fault(fault)
        with pytest.raises(UnavailableError, match=says):
            ask(model(way(server)), inputs)
        server.fault()
        assert ask(model(way(server)), inputs)["play"].shape == (3, 50)

    def test_nan_is_a_failure(self, server, way, model, inputs):
        server.fault("nan")
        with pytest.raises(UnavailableError, match=r"no numbers|not an answer"):
            ask(model(way(server)), inputs)

    def test_an_answer_of_another_version_is_a_failure(self, server, model, inputs):
        server.fault("stale")
        with pytest.raises(UnavailableError, match="answered for"):
            ask(model(GrpcEndpoint(server.grpc_address)), inputs)

    def test_a_version_that_the_server_does_not_have_is_a_failure(self, server, way, model, inputs):
        with pytest.raises(UnavailableError, match=r"Servable not found|404"):
            ask(model(way(server), version=1), inputs)

    def test_an_unknown_signature_is_a_failure(self, server, way, model, inputs):
        with pytest.raises(UnavailableError, match="another"):
            model(way(server)).ask("another", inputs, HEADS)

    @pytest.mark.parametrize("hang", ["pause", "delay", "drip"])
    def test_a_server_that_hangs_costs_the_deadline(self, server, way, model, inputs, hang):
        far = model(way(server))
        ask(far, inputs)
        far._deadline_s = SHORT_S
        if hang == "pause":
            server.pause()
        else:
            server.fault(hang, 5.0 if hang == "delay" else 0.02)
        if hang == "drip" and way(server).address.startswith("grpc"):
            pytest.skip("only a body of text can come in drops")
        _fails_within(SHORT_S + MARGIN_S, far, inputs)

    def test_a_host_that_does_not_exist_fails_within_the_deadline(self, model, inputs):
        for endpoint in (GrpcEndpoint("nowhere.invalid:8500"), RestEndpoint("nowhere.invalid:8501")):
            _fails_within(SHORT_S + MARGIN_S, model(endpoint, deadline_s=SHORT_S), inputs)

    def test_a_connection_that_the_server_closed_while_idle_is_no_failure(self, server, model, inputs):
        endpoint = RestEndpoint(server.rest_address)
        far = model(endpoint)
        ask(far, inputs)
        for connection in endpoint._idle:
            connection.sock.shutdown(2)
        assert ask(far, inputs)["play"].shape == (3, 50)

    def test_a_closed_model_does_not_answer(self, server, way, model, inputs):
        far = model(way(server))
        ask(far, inputs)
        far.close()
        if far.healthy == (f"grpc://{server.grpc_address}",):
            with pytest.raises(UnavailableError, match="closed"):
                ask(far, inputs)
        far.check()


class TestSeveralAddresses:
    def test_take_turns(self, server, replicas, way, model, inputs):
        far = model(*map(way, replicas))
        before = [replica.n_requests for replica in replicas]
        for _ in range(6):
            ask(far, inputs)
        assert [replica.n_requests - n for replica, n in zip(replicas, before, strict=True)] == [3, 3]

    def test_a_fast_failure_is_tried_at_one_other_address(self, server, replicas, way, model, inputs):
        server.fault("error")
        far = model(*map(way, replicas))
        for _ in range(6):
            assert ask(far, inputs)["play"].shape == (3, 50)
        assert far.healthy == (way(replicas[1]).address,)

    def test_one_that_nobody_listens_at_fails_no_request(self, server, way, model, inputs, exported):
        far = model(way(TFServing(server.folder, exported)), way(server))
        for _ in range(6):
            ask(far, inputs)
        assert far.healthy == (way(server).address,)

    def test_one_that_hangs_costs_three_requests_at_the_most(self, server, replicas, way, model, inputs):
        far = model(*map(way, replicas))
        for _ in range(2):
            ask(far, inputs)
        far._deadline_s = 1.0
        server.pause()
        failed = 0
        for _ in range(10):
            try:
                ask(far, inputs)
            except UnavailableError:
                failed += 1
        assert failed == 3

    def test_all_left_alone_is_said_at_once(self, server, way, model, inputs):
        server.fault("error")
        far = model(way(server))
        for _ in range(3):
            with pytest.raises(UnavailableError, match="asked for"):
                ask(far, inputs)
        before = server.n_requests
        with pytest.raises(OpenCircuitError, match="no TensorFlow Serving answers"):
            ask(far, inputs)
        assert server.n_requests == before

    @pytest.mark.parametrize("trouble", ["stop", "pause", "garbage"])
    def test_comes_back_without_a_request_paying_for_it(self, server, way, model, inputs, trouble):
        far = model(way(server), check_s=0.1)
        ask(far, inputs)
        far._deadline_s = 1.0
        if trouble == "garbage":
            server.fault(trouble)
        else:
            getattr(server, trouble)()
        for _ in range(3):
            # Who is gone refuses at once; who hangs costs the deadline.
            _fails_within((1.0 if trouble == "pause" else 0.5) + MARGIN_S, far, inputs)
        assert far.healthy == ()
        server.recover()
        server.fault()
        wait_until(lambda: far.healthy != (), "the address is used again")
        assert ask(far, inputs)["play"].shape == (3, 50)

    def test_a_server_that_hangs_is_found_while_nobody_asks(self, server, way, model, inputs):
        far = model(way(server), check_s=0.05)
        ask(far, inputs)
        far._deadline_s = SHORT_S
        server.pause()
        wait_until(lambda: far.healthy == (), "the address is left alone")

    def test_nothing_is_left_running_when_nobody_holds_the_model(self, server, way, deep_version, inputs):
        endpoint = way(server)
        far = ServedModel([endpoint], deep_version.number, deadline_s=LONG_S, check_s=0.05)
        ask(far, inputs)
        (watcher,) = [one for one in threading.enumerate() if one.name == "tf-serving-health"][-1:]
        del far
        wait_until(lambda: not watcher.is_alive(), "the checks end")


def test_the_process_that_asks_never_imports_tensorflow(server, deep_version):
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from audotics.ranking.deep import DeepRanker\n"
        "from audotics.ranking.protocol import RankingInputs\n"
        "from audotics.ranking.runtimes.choice import ScorerChoice\n"
        "version = Path(sys.argv[1])\n"
        "for address in sys.argv[3:]:\n"
        "    runtime = ScorerChoice.parse(address).runtime(version, sys.argv[2], 20.0)\n"
        "    ranker = DeepRanker.load(version / 'heard/ranker', runtime)\n"
        "    inputs = RankingInputs(np.ones((1, 2, 6), np.float32), ranker.feature_names_,\n"
        "        np.array([[0, 1]], np.int32), np.array([0], np.int32), np.zeros((1, 3), np.float32),\n"
        "        np.full((1, 5), -1, np.int32))\n"
        "    assert np.isfinite(ranker.score(inputs)).all()\n"
        "heavy = {'tensorflow', 'keras', 'ai_edge_litert', 'tensorflow_serving'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    addresses = f"grpc://{server.grpc_address}", f"http://{server.rest_address}"
    folder, version = str(deep_version.folder), deep_version.version
    done = subprocess.run(
        [sys.executable, "-c", program, folder, version, *addresses], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _fails_within(seconds, far, inputs):
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        ask(far, inputs)
    assert time.monotonic() - began < seconds
