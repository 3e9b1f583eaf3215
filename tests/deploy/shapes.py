"""The fields that custom resources may have, from their published definitions."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.kustomize import Object

TYPES = {"string": str, "integer": int, "boolean": bool}


@cache
def _shapes() -> dict[str, Any]:
    return dict(yaml.safe_load(Path(__file__).with_name("custom-resources.yaml").read_text()))


def differences(each: Object) -> list[str]:
    """Fields that the definition does not have, lacks or has of another type; empty is well."""
    name = f"{each['apiVersion']} {each['kind']}"
    if name not in _shapes():
        return [f"no definition of {name}"]
    extra = each.keys() - {"apiVersion", "kind", "metadata", "spec"}
    return [f"{key} is not a field" for key in extra] + _compare(each["spec"], _shapes()[name], "spec")


def _compare(value: Any, shape: Any, path: str) -> list[str]:
    """A shape is a type's name, `any`, `map` (text to text), a list of one shape, or fields; `!` is required."""
    if shape == "any":
        return []
    if shape == "map":
        shape = dict.fromkeys(value, "string")
    if isinstance(shape, str):
        well = type(value) is TYPES[shape]
        return [] if well else [f"{path} is {value!r}, not a {shape}"]
    if type(value) is not type(shape):
        return [f"{path} is {type(value).__name__}, not {type(shape).__name__}"]
    if isinstance(shape, list):
        return [line for i, item in enumerate(value) for line in _compare(item, shape[0], f"{path}[{i}]")]
    fields = {key.rstrip("!"): inner for key, inner in shape.items()}
    required = {key.rstrip("!") for key in shape if key.endswith("!")}
    found = [f"{path}.{key} is not a field" for key in value.keys() - fields.keys()]
    found += [f"{path}.{key} is missing" for key in required - value.keys()]
    return found + [
        line for key in value.keys() & fields.keys() for line in _compare(value[key], fields[key], f"{path}.{key}")
    ]
