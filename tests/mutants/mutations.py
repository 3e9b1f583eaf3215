"""The mutants of a module: its source with one small defect each. Pure.

The operators are PIT's (https://pitest.org/quickstart/mutators) in Python's syntax: conditions forced both ways instead
of negated, since `if False` is what a test of the ordinary case misses, and boundaries, arithmetic, constants, returned
values, statements. Not mutated: what is outside of functions, annotations, strings, and what is logged.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

BOUNDARIES = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
NEGATIONS = {ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<"} | {
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
ARITHMETIC = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")} | {
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
COMPARISON = re.compile(rb"is\s+not\b|not\s+in\b|is\b|in\b|[<>]=?|[=!]=")
TRUE, FALSE = "({} or True)", "({} and False)"  # what is tested still runs: it may name something by `:=`


@dataclass(frozen=True)
class Mutant:
    """`before` and `after` are the changed lines, in one line each; `inside` is the function's qualified name."""

    line: int
    inside: str
    operator: str
    before: str
    after: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module that compile, in the order of its lines, no two the same."""
    finder = _Finder(source)
    finder.visit(ast.parse(source))
    return sorted({each.source: each for each in finder.found}.values(), key=lambda each: each.line)


class _Finder(ast.NodeVisitor):
    def __init__(self, source: str) -> None:
        self.found: list[Mutant] = []
        self._text = source.encode()  # columns of ast count bytes
        self._starts = [0]
        for line in self._text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._scope: list[str] = []
        self._functions = 0  # that are open
        self._bound: set[str] = set()  # names that have a value in this function already

    # How a mutant is made

    def _start(self, node: ast.expr | ast.stmt | ast.pattern) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt | ast.pattern) -> int:
        return self._starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def _edit(self, operator: str, start: int, end: int, new: str) -> None:
        mutated = self._text[:start] + new.encode() + self._text[end:]
        first = self._text.rfind(b"\n", 0, start) + 1
        last = self._text.find(b"\n", end) % (len(self._text) + 1)  # -1 is the end of the text
        try:
            compile(mutated, "mutant", "exec")
        except SyntaxError:
            return
        before, after = self._text[first:last], mutated[first : last + len(mutated) - len(self._text)]
        line = self._text.count(b"\n", 0, start) + 1
        self.found.append(
            Mutant(line, ".".join(self._scope), operator, _one_line(before), _one_line(after), mutated.decode())
        )

    def _replace(self, operator: str, node: ast.expr | ast.stmt | ast.pattern, new: str) -> None:
        """`{}` in `new` is what is there now."""
        start, end = self._start(node), self._end(node)
        now = self._text[start:end].decode()
        if isinstance(node, ast.BoolOp | ast.IfExp | ast.Lambda | ast.NamedExpr):
            now = f"({now})"
        self._edit(operator, start, end, new.replace("{}", now))

    def _between(self, operator: str, left: ast.expr, right: ast.expr, old: re.Pattern[bytes], new: str) -> None:
        if found := old.search(self._text, self._end(left), self._start(right)):
            self._edit(operator, *found.span(), new)

    # Where one is made

    def visit_Module(self, node: ast.Module) -> None:
        for each in ast.walk(node):  # what a type checker alone reads
            if isinstance(each, ast.If) and ast.unparse(each.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                each.body = []
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        for each in node.body:
            self.visit(each)
        self._scope.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        bound, arguments = self._bound, node.args
        self._bound = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        self._scope.append(node.name)
        self._functions += 1
        for each in (*arguments.defaults, *filter(None, arguments.kw_defaults), *node.body):
            self.visit(each)
        self._functions -= 1
        self._scope.pop()
        self._bound = bound

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit(self, node: ast.AST) -> None:
        """Mutate inside of functions only: a constant is a setting, and its tests name it."""
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or self._functions:
            super().visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text; and Python 3.11 does not tell where its parts are."""

    def visit_Expr(self, node: ast.Expr) -> None:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "log":
            return
        if not isinstance(node.value, ast.Constant):  # a docstring
            self._replace("call dropped", node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        if len(node.targets) > 1:
            for target, following in zip(node.targets, [*node.targets[1:], node.value], strict=True):
                if self._kept(target):
                    self._edit("assignment dropped", self._start(target), self._start(following), "")
        elif isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            for target, value in zip(node.targets[0].elts, node.value.elts, strict=False):
                if self._kept(target):
                    self._replace("assignment dropped", value, ast.unparse(target))
        elif self._kept(node.targets[0]):
            self._replace("assignment dropped", node, "pass")
        self._bind(*node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)
            self._bind(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace("assignment dropped", node, "pass")
        if type(node.op) in ARITHMETIC:
            old, new = ARITHMETIC[type(node.op)]
            self._between("arithmetic", node.target, node.value, re.compile(re.escape(old.encode())), new)
        self.visit(node.value)

    def _kept(self, target: ast.expr) -> bool:
        """Whether there is a value from before that an assignment left out would keep; else anything notices."""
        if isinstance(target, ast.Name):
            return target.id in self._bound
        return isinstance(target, ast.Attribute | ast.Subscript) and self._scope[-1] != "__init__"

    def _bind(self, *targets: ast.expr) -> None:
        self._bound |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._replace("statement dropped", node, "pass")
        elif not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, bool | None):
            self._replace("returned value", node.value, "None")
        self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        if not isinstance(node.body, ast.Constant) or node.body.value is not None:
            self._replace("returned value", node.body, "None")
        self.visit(node.body)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace("statement dropped", node, "pass")
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._replace("statement dropped", node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._replace("loop", node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace("loop", node, "break")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type:
            self._replace("nothing caught", node.type, "()")
        for each in node.body:
            self.visit(each)

    def visit_match_case(self, node: ast.match_case) -> None:
        if node.guard:
            self._condition(node.guard)
        else:
            self._replace("case dropped", node.pattern, "{} if False")
        for each in node.body:
            self.visit(each)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        self._condition(node.test)
        for each in ast.iter_child_nodes(node):
            if each is not node.test:
                self.visit(each)

    visit_IfExp = visit_If  # noqa: N815

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test, loop=True)
        for each in (*node.body, *node.orelse):
            self.visit(each)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for each in node.ifs:
            self._condition(each)
        self.visit(node.iter)

    def _condition(self, test: ast.expr, *, loop: bool = False) -> None:
        """Force it both ways; of `and` and `or` the parts are forced, which says more than one of the ways."""
        joined = type(test.op) if isinstance(test, ast.BoolOp) else None
        if joined is not ast.Or and not (isinstance(test, ast.Constant) and loop):
            self._replace("condition", test, FALSE)
        if joined is not ast.And and not loop:
            self._replace("condition", test, TRUE)
        self._visit_forced(test)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for each in node.values:
            self._replace("condition", each, TRUE if isinstance(node.op, ast.And) else FALSE)
            self._visit_forced(each)

    def _visit_forced(self, node: ast.expr) -> None:
        """What a condition is made of; its negation would say less than forcing it did."""
        if isinstance(node, ast.Compare):
            self._boundaries(node)
            self.generic_visit(node)
        else:
            self.visit(node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, operator, right in _pairs(node):
            self._between("comparison", left, right, COMPARISON, NEGATIONS[type(operator)])
        self._boundaries(node)
        self.generic_visit(node)

    def _boundaries(self, node: ast.Compare) -> None:
        for left, operator, right in _pairs(node):
            if new := BOUNDARIES.get(type(operator)):
                self._between("boundary", left, right, COMPARISON, new)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = any(isinstance(each, ast.JoinedStr) or _is(each, str) for each in (node.left, node.right))
        if type(node.op) in ARITHMETIC and not texts:
            old, new = ARITHMETIC[type(node.op)]
            self._between("arithmetic", node.left, node.right, re.compile(re.escape(old.encode())), new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self._edit("sign", self._start(node), self._start(node) + (3 if isinstance(node.op, ast.Not) else 1), "")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in CALLS:
            self._replace("function", node.func, CALLS[node.func.id])
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace("constant", node, str(not node.value))
        elif isinstance(node.value, int | float):
            self._replace("constant", node, repr(node.value + 1))


def _one_line(text: bytes) -> str:
    """Without comments."""
    return " ".join(re.sub(r"  # .*", "", text.decode()).split())


def _pairs(node: ast.Compare) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    return zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)


def _is(node: ast.expr, kind: type) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, kind)
