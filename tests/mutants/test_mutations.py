"""Which mutants are made of which code."""

import textwrap

import pytest

from tests.mutants.mutations import mutants
from tests.mutants.scope import ROOT


def _after(body: str) -> list[str]:
    """The changed lines of the mutants of a function with this body."""
    source = "def f(a, b, c):\n" + textwrap.indent(body, "    ")
    return [each.after for each in mutants(source)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("if a:\n    b()", ["if (a and False):", "if (a or True):", "pass"]),
        ("if not a:\n    raise b", ["if (not a and False):", "if (not a or True):", "pass"]),
        ("if x := a():\n    b(x)", ["if ((x := a()) and False):", "if ((x := a()) or True):", "pass"]),
        ("while a:\n    b()", ["while (a and False):", "pass"]),
        ("while True:\n    break", ["while False:", "continue"]),
        ("for x in a:\n    continue", ["break"]),
        ("if a is not b:\n    return", ["if (a is not b and False):", "if (a is not b or True):", "pass"]),
        ("for x in a:\n    del b[x]", ["pass"]),
        ("match a:\n    case int():\n        b()", ["case int() if False:", "pass"]),
        ("try:\n    a()\nexcept (OSError, ValueError):\n    b()", ["pass", "except ():", "pass"]),
    ],
)
def test_every_condition_is_forced_both_ways_and_every_statement_dropped(body: str, expected: list[str]) -> None:
    assert _after(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "if a and b: c()",
            ["if ((a and b) and False): c()", "if (a or True) and b: c()", "if a and (b or True): c()"],
        ),
        ("if a or b: c()", ["if ((a or b) or True): c()", "if (a and False) or b: c()", "if a or (b and False): c()"]),
        ("x = a or b", ["x = (a and False) or b", "x = a or (b and False)"]),
    ],
)
def test_each_part_of_a_condition_is_left_out(body: str, expected: list[str]) -> None:
    assert [each for each in _after(body) if each != "pass"][: len(expected)] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a < b", ["return None", "return a >= b", "return a <= b"]),
        ("return a not in b", ["return None", "return a in b"]),
        ("return -a", ["return None", "return a"]),
        ("return min(a, 2)", ["return None", "return max(a, 2)", "return min(a, 3)"]),
        ("return a if b else c", ["return None", "return a if (b and False) else c", "return a if (b or True) else c"]),
        ("return lambda: a", ["return None", "return lambda: None"]),
        ("return False", ["return True"]),
        ("a.b += 0.5", ["pass", "a.b -= 0.5", "a.b += 1.5"]),
        ("a.b = a.c = b", ["a.c = b", "a.b = b"]),
        ("a.b, x = None, a.b", ["a.b, x = a.b, a.b"]),
        ("a = b ** c", ["a = b * c", "pass"]),
        (
            "x = [i for i in a if i > b]",
            ["x = [i for i in a if (i > b and False)]", "x = [i for i in a if (i > b or True)]"],
        ),
    ],
)
def test_values_boundaries_and_assignments(body: str, expected: list[str]) -> None:
    assert _after(body)[: len(expected)] == expected


@pytest.mark.parametrize(
    "body",
    [
        '"""Only 1 docstring."""',
        'log.warning("a", count=1 + 2, well=True)',
        "x: 'int | None' = a",
        'x = f"{a + 1}" + b',
        "x = a",
        "return None",
    ],
)
def test_texts_logs_annotations_and_what_anything_notices_are_left_alone(body: str) -> None:
    assert _after(body) == []


def test_constants_of_modules_and_classes_are_settings_and_left_alone() -> None:
    assert mutants("LIMIT = 3\nif TYPE_CHECKING:\n    x = 1 + 1\n\nclass C:\n    size = 3 + 4\n") == []


def test_an_attribute_that_init_leaves_out_would_be_noticed_by_anything() -> None:
    source = "class C:\n    def __init__(self):\n        self.a = b\n\n    def clear(self):\n        self.a = b\n"
    assert [(each.inside, each.line) for each in mutants(source)] == [("C.clear", 6)]


def test_a_mutant_says_where_it_is_without_the_comment_and_with_lines_joined() -> None:
    source = "class C:\n    def f(self):\n        g(\n            'ü',\n            2,  # why\n        )\n"
    dropped, counted = mutants(source)
    assert (dropped.line, dropped.inside, dropped.operator) == (3, "C.f", "call dropped")
    assert (dropped.before, dropped.after) == ("g( 'ü', 2, )", "pass")
    assert (counted.line, counted.before, counted.after) == (5, "2,", "3,")
    assert counted.source == source.replace("2,", "3,")


def test_all_mutants_differ_from_the_module_and_from_each_other() -> None:
    source = (ROOT / "consumer/prefetch.py").read_text()
    made = [each.source for each in mutants(source)]
    assert len({source, *made}) == len(made) + 1 > 100
