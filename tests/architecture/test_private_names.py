"""Private names of others are used in the fence alone, `common/wire`, and there only pika's."""

import ast

import pytest

from tests.architecture.modules import MODULES, TREES, within
from tests.architecture.private_names import imported, is_private, own, pikas, taken_from_pika, used

FENCE = ("common.wire",)


@pytest.mark.parametrize("module", [name for name in MODULES if not within(name, FENCE)])
def test_no_module_outside_of_the_fence_uses_a_private_name_of_others(module: str) -> None:
    """What a class of ours inherits from pika is pika's, too, so such a class has no private name that pika has."""
    foreign = {*used(TREES[module])} - own(module) | {*imported(TREES[module])}
    assert foreign | taken_from_pika(module) == set()


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, FENCE)])
def test_the_fence_uses_private_names_of_pika_alone(module: str) -> None:
    """No other library's, and none of ours elsewhere."""
    assert {*used(TREES[module])} - own(module) <= pikas()
    assert {*imported(TREES[module])} <= pikas()


def test_the_private_names_of_the_installed_pika_are_known() -> None:
    assert {"_content_assembler", "_on_data_available", "_MAX_RECV_BYTES", "_tx_buffers"} <= pikas()
    assert not {"_replace_this", "__init__", "basic_ack"} & pikas()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("channel._consumers", ["_consumers"]),
        ("getattr(channel, '_consumers')", ["_consumers"]),
        ("vars(channel)['_consumers'] = {}", ["_consumers"]),
        ("from pika.callback import _name_or_value", ["_name_or_value"]),
        ("import pydantic.plugin._loader", ["_loader"]),
        ("from pydantic._internal import _fields", ["_internal"]),
        ("f'{prefix}_returned'", []),
        ("row._replace(text='_')", []),
        ("type(channel).__name__", []),
    ],
)
def test_each_way_to_a_private_name_is_seen(code: str, names: list[str]) -> None:
    assert [*used(ast.parse(code))] == names
    assert all(map(is_private, names))
