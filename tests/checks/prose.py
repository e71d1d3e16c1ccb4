"""Finds code whose behaviour hangs on words that were written for people. `make check` runs it.

Prose is known by name alone: an attribute such as `error.happened`, a variable such as `why`, and
within a function what is assigned from these. Where the same words come under another name, out of
a mapping or from a call, they are not seen. A text may be joined, shortened and compared with the
empty one: that asks whether there is any, not what it says. In a view nothing called `text` is taken
apart either; there it may be compared, so that nothing is shown twice.

A line that has to read the words of another system, which has no field for it, ends with
`# prose: ` and the reason.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOTS = ("deploy", "handlers", "bot")
_NOT_READ = "bot/sandbox/"
_VIEWS = "handlers/views/"
_ALLOWED = "# prose: "

_ATTRIBUTES = frozenset(
    {"attention", "evidence", "fix", "happened", "meaning", "remedy", "title", "trouble"}
    | {"what", "why"}
)
_NAMES = _ATTRIBUTES - {"trouble"}
"""A variable called `trouble` is a code in places, as in incidents."""
_ERRORS = frozenset({"error", "exc", "exception"})
_READING = frozenset(
    {"count", "endswith", "find", "index", "partition", "rfind", "rindex", "rpartition", "rsplit"}
    | {"split", "startswith"}
)
_REWORDING = frozenset(
    {"casefold", "format", "join", "lower", "lstrip", "removeprefix", "removesuffix", "replace"}
    | {"rstrip", "strip", "upper"}
)
_MATCHING = frozenset({"findall", "finditer", "fullmatch", "match", "search", "split"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def findings(source: str, path: str) -> list[tuple[int, str]]:
    """Each line that branches on prose, and how; also a reason that excuses nothing."""
    found: dict[int, str] = {}
    in_view = path.startswith(_VIEWS)
    for scope in _scopes(ast.parse(source)):
        for node, how in _Reader(scope, in_view=in_view).branches():
            found.setdefault(node.lineno, how)
    allowed = {n for n, line in enumerate(source.splitlines(), 1) if _ALLOWED in line}
    kept = [(n, how) for n, how in found.items() if n not in allowed]
    unused = [(n, f"“{_ALLOWED.strip()}” excuses nothing") for n in allowed - found.keys()]
    return sorted(kept + unused)


def _scopes(node: ast.AST) -> Iterator[ast.AST]:
    """The outermost functions, each with those within it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            yield child
        else:
            yield from _scopes(child)


class _Reader:
    """One function, and the names in it that hold prose."""

    def __init__(self, scope: ast.AST, *, in_view: bool) -> None:
        self._nodes = list(ast.walk(scope))
        self._in_view = in_view
        self._names = set(_NAMES)
        known = 0
        while known != len(self._names):
            known = len(self._names)
            for node in self._nodes:
                self._learn(node)

    def branches(self) -> Iterator[tuple[ast.expr, str]]:
        """Each expression whose outcome depends on the words of a text."""
        for node in self._nodes:
            match node:
                case ast.Compare():
                    if self._compares(node):
                        yield node, "compares a text"
                case ast.Call(func=ast.Attribute(attr=name, value=value), args=args):
                    if name in _READING and self._is_read(value):
                        yield node, f"takes a text apart with `{name}`"
                    elif name in _MATCHING and any(map(self._is_read, args)):
                        yield node, "matches a text with a pattern"
                    elif name == "get" and args and self._is_prose(args[0]):
                        yield node, "looks something up by a text"
                case ast.Subscript(slice=key):
                    if self._is_prose(key):
                        yield node, "looks something up by a text"
                case ast.Match(subject=subject):
                    if self._is_prose(subject):
                        yield subject, "matches a text"

    def _learn(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                pass
            case ast.For(target=ast.Name(id=name), iter=value):
                pass
            case ast.comprehension(target=ast.Name(id=name), iter=value):
                pass
            case _:
                return
        if self._is_prose(value):
            self._names.add(name)

    def _compares(self, node: ast.Compare) -> bool:
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) and not side.value for side in sides):
            return False
        told = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
        return any(isinstance(op, told) for op in node.ops) and any(map(self._is_prose, sides))

    def _is_read(self, node: ast.AST) -> bool:
        return self._is_prose(node) or (self._in_view and _last_name(node) == "text")

    def _is_prose(self, node: ast.AST) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self._names
            case ast.Attribute(value=value, attr=name):
                return (
                    name in _ATTRIBUTES
                    or (name in ("args", "message") and _is_error(value))
                    or (name == "text" and _last_name(value).endswith("reply"))
                )
            case ast.Subscript(value=value):
                return self._is_prose(value)
            case ast.Call(func=ast.Name(id="str"), args=[argument]):
                return _is_error(argument) or self._is_prose(argument)
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=args):
                return name in _REWORDING and any(map(self._is_prose, (value, *args)))
            case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts):
                return any(map(self._is_prose, parts))
            case ast.FormattedValue(value=value) | ast.ListComp(elt=value):
                return self._is_prose(value)
            case ast.GeneratorExp(elt=value):
                return self._is_prose(value)
            case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
                return self._is_prose(left) or self._is_prose(right)
        return False


def _is_error(node: ast.AST) -> bool:
    return _last_name(node) in _ERRORS


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def main() -> int:
    """Print every finding; 1 where there is any."""
    found = [
        f"{path}:{number}: {how}"
        for root in _ROOTS
        for path in sorted(Path(root).rglob("*.py"))
        if not path.as_posix().startswith(_NOT_READ)
        for number, how in findings(path.read_text(), path.as_posix())
    ]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
