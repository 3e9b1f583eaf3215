"""The fields that custom resources may have, from their published definitions."""

import re
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
    """Fields that the definition does not have, lacks or has of another type or value; empty is well."""
    name = f"{each['apiVersion']} {each['kind']}"
    if name not in _shapes():
        return [f"no definition of {name}"]
    extra = each.keys() - {"apiVersion", "kind", "metadata", "spec"}
    return [f"{key} is not a field" for key in extra] + _compare(each["spec"], _shapes()[name], "spec")


def _compare(value: Any, shape: Any, path: str) -> list[str]:
    """A shape is `any`, what a scalar is, a list of one shape, or fields; `!` is required, `*` any other name."""
    if shape == "any":
        return []
    if isinstance(shape, str):
        return [] if _is(value, shape) else [f"{path} is {value!r}, not {shape}"]
    if type(value) is not type(shape):
        return [f"{path} is {type(value).__name__}, not {type(shape).__name__}"]
    if isinstance(shape, list):
        return [line for i, item in enumerate(value) for line in _compare(item, shape[0], f"{path}[{i}]")]
    fields = {key.rstrip("!"): inner for key, inner in shape.items()}
    required = {key.rstrip("!") for key in shape if key.endswith("!")}
    found = [f"{path}.{key} is missing" for key in required - value.keys()]
    for key, item in value.items():
        inner = fields.get(key, fields.get("*"))
        found += _compare(item, inner, f"{path}.{key}") if inner else [f"{path}.{key} is not a field"]
    return found


def _is(value: Any, shape: str) -> bool:
    """A type's name, the bounds of an integer (`1..1800`), or the regular expression of a whole text."""
    if shape in TYPES:
        return type(value) is TYPES[shape]
    if bounds := re.fullmatch(r"(\d+)\.\.(\d+)", shape):
        return type(value) is int and int(bounds[1]) <= value <= int(bounds[2])
    return isinstance(value, str) and re.fullmatch(shape, value) is not None
