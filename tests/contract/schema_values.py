"""Values that a JSON schema allows, as far as the schemas of an OpenAPI page go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_TIMES = st.datetimes().map(lambda at: at.isoformat() + "Z") | st.sampled_from(
    ["2026-11-20T12:00:00+05:30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-20"]
)
_ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)


def values_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a schema; ``root`` holds what its references name."""
    if "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return values_of(found, root)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return st.one_of([values_of(one, root) for one in schema[choice]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _of_type(schema, root)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    match schema.get("type"):
        case "string":
            return _text(schema)
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            most = min(schema.get("maxItems", 4), 4)
            return st.lists(values_of(schema.get("items", {}), root), min_size=0, max_size=most)
        case "object":
            return _objects(schema, root)
        case _:
            return _ANYTHING | st.lists(_ANYTHING, max_size=3)


def _text(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return _TIMES
    if "pattern" in schema:
        return st.from_regex(schema["pattern"])
    least = schema.get("minLength", 0)
    return st.text(min_size=least, max_size=max(least, min(schema.get("maxLength", 30), 30)))


def _objects(schema: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values_of(one, root) for name, one in schema.get("properties", {}).items()}
    required = {name: fields.pop(name) for name in schema.get("required", ()) if name in fields}
    named = st.fixed_dictionaries(required, optional=fields)
    more = schema.get("additionalProperties")
    if not more:
        return named
    others = st.dictionaries(
        st.text(max_size=15), values_of(more if isinstance(more, dict) else {}, root), max_size=2
    )
    return st.tuples(others, named).map(lambda both: both[0] | both[1])
