"""Small changes of a module's syntax tree; a test should notice each of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
# A shorter display is usually unpacked, so that leaving out an element proves nothing.
FEWEST_ELEMENTS = 3


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a node: a field of its parent, and the function around it."""

    parent: ast.AST
    field: str
    index: int | None
    function: str  # `co_qualname` of the outermost function around it; "" if imports run the node

    def put(self, node: ast.AST) -> None:
        """Replace the node at this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change."""

    place: Place
    node: ast.AST
    changed: ast.AST
    lines: range

    @property
    def function(self) -> str:
        return self.place.function

    @property
    def before(self) -> str:
        """The text of the node."""
        return _text(self.node)

    @property
    def after(self) -> str:
        """The text of the node that replaces it."""
        return _text(self.changed)

    def compiled(self, tree: ast.Module, file: str) -> CodeType:
        """The code of the changed module; the tree stays as it is."""
        self.place.put(self.changed)
        try:
            return compile(ast.fix_missing_locations(tree), file, "exec", dont_inherit=True)
        finally:
            self.place.put(self.node)


def mutants(tree: ast.Module) -> list[Mutant]:
    """All changes of a module, always in the same order."""
    return [
        Mutant(place, node, ast.copy_location(changed, node), _lines(node))
        for node, place in _nodes(tree, "", "")
        for changed in _changes(node)
    ]


def _lines(node: ast.AST) -> range:
    lines = [
        line
        for each in ast.walk(node)
        if isinstance(each, (ast.expr, ast.stmt, ast.pattern))
        for line in (each.lineno, each.end_lineno or each.lineno)
    ]
    return range(min(lines), max(lines) + 1)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _nodes(parent: ast.AST, scope: str, function: str) -> Iterator[tuple[ast.AST, Place]]:
    """Every node that can be changed, with its place. Default values run at the import, so they do
    not belong to the function.
    """
    inside, scope_inside = function, scope
    if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inside = function or scope + parent.name
    elif isinstance(parent, ast.ClassDef):
        scope_inside = f"{scope}{parent.name}."
    for field, value in ast.iter_fields(parent):
        if field in ("annotation", "returns", "decorator_list", "format_spec", "bases", "ctx"):
            continue
        own = inside if field == "body" else function
        for index, each in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(each, ast.AST) or _says_nothing(each, parent):
                continue
            yield each, Place(parent, field, index, own)
            yield from _nodes(each, scope_inside, own)


def _says_nothing(node: ast.AST, parent: ast.AST) -> bool:
    """Whether no test should check the node: imports, docstrings, types, and texts of errors."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
            return True
        case ast.JoinedStr():
            return isinstance(parent, ast.Call) and _is_error(parent.func)
        case _:
            return False


def _is_error(called: ast.expr) -> bool:
    name = called.id if isinstance(called, ast.Name) else ""
    return name[:1].isupper()


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for number, operator in enumerate(ops):
                swapped = [*ops[:number], COMPARISONS[type(operator)](), *ops[number + 1 :]]
                yield ast.Compare(left, swapped, comparators)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            for number in range(len(values)):
                left_over = values[:number] + values[number + 1 :]
                yield left_over[0] if len(left_over) == 1 else ast.BoolOp(operator, left_over)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BinOp(left=left, op=operator, right=right):
            if type(operator) in ARITHMETIC and not (_is_text(left) or _is_text(right)):
                yield ast.BinOp(left, ARITHMETIC[type(operator)](), right)
        case ast.AugAssign(target=target, op=operator, value=value):
            if type(operator) in ARITHMETIC:
                yield ast.AugAssign(target, ARITHMETIC[type(operator)](), value)
            yield ast.Pass()
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(value=bytes() as value):
            yield ast.Constant(value[:-1] + bytes((value[-1] ^ 1,)) if value else b"\1")
        case ast.If(test=test, body=body, orelse=orelse):
            yield from (ast.If(each, body, orelse) for each in _truths(test))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield from (ast.IfExp(each, body, orelse) for each in _truths(test))
        case ast.While(test=test, body=body, orelse=orelse) if not _is_true(test):
            yield ast.While(ast.Constant(False), body, orelse)
        case ast.comprehension(target=target, iter=source, ifs=ifs, is_async=is_async) if ifs:
            yield ast.comprehension(target, source, [], is_async)
        case ast.Return(value=ast.expr() as value) if not _is_plain(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise():
            yield ast.Pass()
        case ast.Delete(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Call(func=func, args=args, keywords=keywords):
            for number in range(len(keywords)):
                yield ast.Call(func, args, keywords[:number] + keywords[number + 1 :])
        case ast.Dict(keys=keys, values=values) if len(keys) > 1:
            for number in range(len(keys)):
                yield ast.Dict(
                    keys[:number] + keys[number + 1 :], values[:number] + values[number + 1 :]
                )
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            if len(elements) >= FEWEST_ELEMENTS and _is_read(node):
                for number in range(len(elements)):
                    fewer = elements[:number] + elements[number + 1 :]
                    yield (
                        ast.Set(fewer)
                        if isinstance(node, ast.Set)
                        else type(node)(fewer, ast.Load())
                    )
        case ast.match_case(pattern=pattern, guard=guard, body=body):
            if guard is not None:
                yield ast.match_case(pattern, None, body)
            yield ast.match_case(pattern, ast.Constant(False), body)


def _truths(test: ast.expr) -> Iterator[ast.expr]:
    yield ast.copy_location(ast.Constant(True), test)
    yield ast.copy_location(ast.Constant(False), test)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_plain(node: ast.expr) -> bool:
    """Whether the value is None, or a truth value, which other changes cover."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _is_read(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
