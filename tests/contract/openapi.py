"""An OpenAPI page as tests read it: operations, and whether an answer is what the page promises."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


@dataclass(frozen=True, repr=False)
class Operation:
    """One method of one path."""

    method: str
    path: str
    said: Mapping[str, Any]
    components: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def __repr__(self) -> str:
        return self.name

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The schema of the JSON body; None where none is taken."""
        content = self.said.get("requestBody", {}).get("content", {})
        found: Mapping[str, Any] | None = content.get("application/json", {}).get("schema")
        return found

    @property
    def root(self) -> dict[str, Any]:
        """Where the references of schemas lead."""
        return {"components": self.components}

    def check(self, answer: httpx.Response) -> None:
        """Fail where the answer is not one that the page describes, or has fields it does not name."""
        described = self.said["responses"].get(str(answer.status_code))
        assert described is not None, f"{self.name} answers {answer.status_code}, which is not documented"
        kind = answer.headers["content-type"].partition(";")[0]
        content = described.get("content", {})
        assert kind in content, f"{self.name} answers {kind}, documented are {sorted(content)}"
        if kind.endswith("json"):
            schema = _closed({**content[kind].get("schema", {}), **self.root})
            document = json.loads(answer.content, parse_constant=_refuse)
            wrong = best_match(Draft202012Validator(schema).iter_errors(document))
            assert wrong is None, f"{self.name} {answer.status_code}: {wrong.message} at {wrong.json_path}"


def operations(page: Mapping[str, Any]) -> Iterator[Operation]:
    """Everything that the page offers."""
    for path, methods in page["paths"].items():
        for method, said in methods.items():
            yield Operation(method.upper(), path, said, page.get("components", {}))


def _closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, dict):
        closed = {key: _closed(value) for key, value in schema.items()}
        if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
            closed.setdefault("additionalProperties", False)
        return closed
    return [_closed(value) for value in schema] if isinstance(schema, list) else schema


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
