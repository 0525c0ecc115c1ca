"""No file, function or signature grows beyond the size limits."""

import ast
from collections.abc import Iterator
from pathlib import Path

import clickloop

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 8
ROOT = Path(clickloop.__file__).parent
MIGRATIONS = Path("store/ledger/migrations/versions")
"""Never changed once they are out."""
COMMANDS = Path("cli")
"""The parameters of a command are its options."""


def _too_large(path: Path, text: str) -> Iterator[str]:
    lines = text.count("\n")
    if lines > MAX_FILE_LINES:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or 0) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield f"{path}: {node.name} has {lines} lines"
        names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > MAX_PARAMETERS and not path.is_relative_to(COMMANDS):
            yield f"{path}: {node.name} has {count} parameters"


def test_no_file_function_or_signature_is_too_large() -> None:
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    found = [
        one
        for path in paths
        if not path.is_relative_to(MIGRATIONS)
        for one in _too_large(path, (ROOT / path).read_text("utf-8"))
    ]
    assert found == []


def test_what_is_too_large_is_found() -> None:
    long = "def long() -> None:\n" + "    pass\n" * 60
    assert list(_too_large(Path("a.py"), long)) == ["a.py: long has 61 lines"]
    assert list(_too_large(Path("a.py"), "\n" * 401)) == ["a.py: 401 lines"]
    wide = "class A:\n    def fits(self, a, b, c, d, e, f, g, h): ...\n    def wide(self, a, b, c, d, e, f, g, h, *, i): ...\n"
    assert list(_too_large(Path("a.py"), wide)) == ["a.py: wide has 9 parameters"]
    assert list(_too_large(Path("cli/a.py"), wide)) == []
