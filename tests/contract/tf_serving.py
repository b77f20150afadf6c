"""A stand-in for TensorFlow Serving: its own PredictionService stubs and its REST shape over the real export.

``TFServing(folder, export)`` is a process of its own that loads every numbered folder of a model as
TensorFlow Serving would, replays the warm-up records, and answers on a gRPC and a REST port. It is killed,
paused and resumed like the other servers of `contract.services`; ``fault`` makes it answer wrongly.

The real server is a C++ program that could not be had; what is alike here is what its clients see.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":  # the child has this folder on its path, and wants the one above
    sys.path.insert(0, str(Path(__file__).parent.parent))

from contract.services import Server, free_port

MODEL = "audotics"
GARBAGE = b"\xff\x00 this is no answer \x13\x37"


class TFServing(Server):
    """One replica. TensorFlow takes its time to come up.

    Args:
        folder: Where it keeps its log.
        export: What `audotics models export` wrote.
    """

    patience_s = 120.0

    def __init__(self, folder: Path, export: Path) -> None:
        super().__init__(folder)
        self.export = export
        self.rest_port = free_port()

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def rest_address(self) -> str:
        return f"127.0.0.1:{self.rest_port}"

    @property
    def n_requests(self) -> int:
        """Predict requests since it started, by either way."""
        return int(json.loads(self._ask("GET", "/count")))

    def fault(self, kind: str = "none", value: float = 0.0) -> None:
        """Answer wrongly from now on, until told otherwise.

        Args:
            kind: ``none``; ``delay`` by ``value`` seconds; ``drip`` (REST: a byte every ``value`` seconds);
                ``error``; ``garbage``; ``nan``; ``narrow`` (a slot less); ``headless`` (no play head);
                ``stale`` (the version before answers).
            value: Of the fault.
        """
        self._ask("PUT", "/fault", json.dumps({"kind": kind, "value": value}))

    def _command(self) -> list[str]:
        ports = [str(self.port), str(self.rest_port)]
        return [sys.executable, str(Path(__file__).resolve()), str(self.export.resolve()), *ports]

    def _answers(self) -> bool:
        try:
            return "AVAILABLE" in self._ask("GET", f"/v1/models/{MODEL}")
        except OSError:
            return False

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=self.patience_s)
        connection.request(method, path, body)
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer


class _NoSuchVersionError(Exception):
    pass


class _Models:
    """The numbered folders of the model, loaded; and the fault of the moment."""

    def __init__(self, base: Path) -> None:
        import tensorflow as tf

        self.tf = tf
        folders = [path for path in (base / MODEL).iterdir() if path.name.isdigit()]
        self.versions = {int(path.name): tf.saved_model.load(str(path)) for path in folders}
        self.fault, self.value, self.n_requests = "none", 0.0, 0
        for path in folders:
            self._warm_up(path)

    def run(self, version: int | None, signature: str, inputs: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The version that answers, and its outputs."""
        self.n_requests += 1
        version = max(self.versions) if version is None else version
        if version not in self.versions:
            raise _NoSuchVersionError(f"Servable not found for request: Specific({MODEL}, {version})")
        if self.fault == "delay":
            time.sleep(self.value)
        if self.fault == "error":
            raise RuntimeError("the fault that was asked for")
        function = self.versions[version].signatures[signature]
        expected = function.structured_input_signature[1]
        tensors = {name: self.tf.constant(inputs[name], spec.dtype) for name, spec in expected.items()}
        outputs = {name: np.array(values) for name, values in function(**tensors).items()}
        if self.fault == "nan":
            outputs["play"][0, 0] = np.nan
        if self.fault == "narrow":
            outputs = {name: values[:, :-1] for name, values in outputs.items()}
        if self.fault == "headless":
            outputs = {f"{name}_of_another": values for name, values in outputs.items()}
        return version - (self.fault == "stale"), outputs

    def _warm_up(self, folder: Path) -> None:
        """As TensorFlow Serving does: a record that fails keeps the version from serving."""
        from tensorflow_serving.apis import prediction_log_pb2

        path = folder / "assets.extra" / "tf_serving_warmup_requests"
        for record in self.tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            inputs = {name: self.tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            self.run(int(folder.name), request.model_spec.signature_name, inputs)
        self.n_requests = 0


def _grpc_server(models: _Models, port: int) -> Any:
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
            spec = request.model_spec
            if spec.name != MODEL:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}")
            inputs = {name: models.tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            wanted = spec.version.value if spec.HasField("version") else None
            try:
                version, outputs = models.run(wanted, spec.signature_name or "serving_default", inputs)
            except _NoSuchVersionError as error:
                context.abort(grpc.StatusCode.NOT_FOUND, str(error))
            except Exception as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            response = predict_pb2.PredictResponse()
            response.model_spec.name = MODEL
            response.model_spec.version.value = version
            response.model_spec.signature_name = spec.signature_name
            for name, values in outputs.items():
                # As the real one by default: values one by one, not as tensor_content.
                tensor = response.outputs[name]
                tensor.dtype = models.tf.float32.as_datatype_enum
                for size in values.shape:
                    tensor.tensor_shape.dim.add(size=size)
                tensor.float_val.extend(values.ravel().tolist())
            return response

    class Garbage(grpc.ServerInterceptor):
        def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
            if models.fault == "garbage":
                return grpc.unary_unary_rpc_method_handler(lambda request, context: GARBAGE)
            return continuation(details)

    server = grpc.server(ThreadPoolExecutor(4), interceptors=(Garbage(),))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    if server.add_insecure_port(f"127.0.0.1:{port}") != port:
        raise OSError(f"port {port} is taken")
    return server


_PREDICT = re.compile(rf"/v1/models/{MODEL}(?:/versions/(\d+))?:predict")


def _rest_server(models: _Models, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/count":
                self._answer(200, models.n_requests)
            elif self.path == f"/v1/models/{MODEL}":
                status = {"error_code": "OK", "error_message": ""}
                states = [
                    {"version": str(version), "state": "AVAILABLE", "status": status}
                    for version in models.versions
                ]
                self._answer(200, {"model_version_status": states})
            else:
                self._answer(404, {"error": f"Malformed request: GET {self.path}"})

        def do_PUT(self) -> None:
            asked = json.loads(self._body())
            models.fault, models.value = asked["kind"], asked["value"]
            self._answer(200, {})

        def do_POST(self) -> None:
            body, found = self._body(), _PREDICT.fullmatch(self.path)
            if found is None:
                self._answer(404, {"error": f"Malformed request: POST {self.path}"})
                return
            try:
                request = json.loads(body)
                wanted = int(found[1]) if found[1] else None
                signature = request.get("signature_name", "serving_default")
                _, outputs = models.run(wanted, signature, request["inputs"])
            except _NoSuchVersionError as error:
                self._answer(404, {"error": str(error)})
            except Exception as error:
                self._answer(400, {"error": str(error)})
            else:
                named: Any = {name: values.tolist() for name, values in outputs.items()}
                # The name of an only output is left out.
                self._answer(200, {"outputs": named if len(named) > 1 else next(iter(named.values()))})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            faulty = self.command == "POST"
            if faulty and models.fault == "garbage":
                body = GARBAGE
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for piece in _pieces(body, slowly=faulty and models.fault == "drip"):
                self.wfile.write(piece)
                self.wfile.flush()
                if len(piece) == 1:
                    time.sleep(models.value)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def _pieces(body: bytes, slowly: bool) -> Iterator[bytes]:
    return (body[place : place + 1] for place in range(len(body))) if slowly else iter([body])


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("export", type=Path)
    parser.add_argument("grpc_port", type=int)
    parser.add_argument("rest_port", type=int)
    given = parser.parse_args()
    models = _Models(given.export)
    server = _grpc_server(models, given.grpc_port)  # it stops when nobody holds it
    server.start()
    _rest_server(models, given.rest_port).serve_forever()


if __name__ == "__main__":
    main()
