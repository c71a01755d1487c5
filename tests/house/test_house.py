"""The house's own rules, on every Python file of the project: sizes, names, clocks, catches and what is left undone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
OURS = (
    "schemas", "backbone", "deciders", "router", "workers", "gateway", "replay", "backtest", "trading_llm", "deploy", "examples",
    "tests",
)  # fmt: skip
FILES = sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = sorted(path for folder in ("deploy", "tests") for path in (ROOT / folder).rglob("*.sh"))

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
LONG_FUNCTIONS: dict[str, str] = {}  # "file:function" → why it may be longer
LONG_FILES: dict[str, str] = {}  # file → why it may be longer
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"})

# What decides is pure: time, randomness, files and the environment come in as arguments.
PURE = (
    "schemas/", "deciders/", "backtest/costs.py",
    "backbone/lane_state.py", "backbone/order.py", "backbone/outbox.py", "backbone/progress.py",
    "replay/again.py", "replay/answers.py", "replay/dates.py", "replay/leaks.py", "replay/mask.py", "replay/names.py",
    "replay/recorded.py",
    "workers/depth.py", "workers/gpu_memory.py", "workers/gpu_remedies.py", "workers/replay_gate.py",
    "workers/service_times.py", "workers/vitals.py", "workers/watchdog.py",
    *(f"trading_llm/{noun}.py" for noun in (
        "case", "court", "docket", "evidence", "fault", "likeness", "prefix", "standing", "strict", "verdict",
    )),
)  # fmt: skip
IMPURE_MODULES = frozenset({
    "time", "random", "secrets", "os", "io", "socket", "subprocess", "pathlib", "tempfile", "asyncio", "threading", "aiokafka",
})  # fmt: skip
IMPURE_CALLS = frozenset({"now", "utcnow", "today", "open", "read_text", "read_bytes", "uuid1", "uuid4", "getenv", "input"})

BROAD = frozenset({"Exception", "BaseException"})
MAY_CATCH_ALL = {
    "backbone/process.py": "says once what ends a process",
    "router/intake.py": "passes over what was given up before, or it would end every router again",
    "backbone/reader.py": "hands what the listener raises to the process, since aiokafka would only log it",
}
UNDONE = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "pytest.mark." + "skip", "pytest.mark." + "xfail", "pytest." + "skip(")


def test_no_function_is_longer_than_sixty_lines() -> None:
    found = {f"{name(file)}:{node.name}": lines(node) for file in FILES for node in functions(file)}
    assert {each: size for each, size in found.items() if size > FUNCTION_LINES_MAX and each not in LONG_FUNCTIONS} == {}
    assert [each for each in LONG_FUNCTIONS if found.get(each, 0) <= FUNCTION_LINES_MAX] == [], "no longer exceptions"


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    found = {name(file): len(file.read_text().splitlines()) for file in FILES + SCRIPTS}
    assert {each: size for each, size in found.items() if size > FILE_LINES_MAX and each not in LONG_FILES} == {}
    assert [each for each in LONG_FILES if found.get(each, 0) <= FILE_LINES_MAX] == [], "no longer exceptions"


def test_no_file_or_folder_is_named_for_nothing() -> None:
    assert [name(file) for file in FILES if BANNED_NAMES & {*file.relative_to(ROOT).parts[:-1], file.stem}] == []


def test_what_decides_reads_no_clock_no_file_no_environment_and_no_chance() -> None:
    pure = [file for file in FILES if name(file).startswith(PURE)]
    assert [each for each in PURE if not any(name(file).startswith(each) for file in pure)] == [], "there is no such file"
    assert [f"{name(file)}:{line} {what}" for file in pure for line, what in impurities(file)] == []


def test_what_decides_imports_only_what_decides() -> None:
    files = {name(file): file for file in FILES}
    found = [(each, used) for each, file in files.items() if each.startswith(PURE) for used in imported(file)]
    assert [pair for pair in found if pair[1] in files and not pair[1].startswith(PURE)] == []


def test_only_the_process_catches_everything() -> None:
    ours = [file for file in FILES if name(file) not in MAY_CATCH_ALL and file.relative_to(ROOT).parts[0] != "tests"]
    assert [f"{name(file)}:{node.lineno}" for file in ours for node in broad_catches(file)] == []


def test_nothing_is_left_undone_or_switched_off() -> None:
    assert [f"{name(file)}: {word}" for file in FILES + SCRIPTS for word in UNDONE if word in file.read_text()] == []


def test_the_locks_name_versions_and_digests_and_no_address() -> None:
    for lock in sorted((ROOT / "deploy" / "locks").glob("*.txt")):
        text = lock.read_text()
        assert "://" not in text, lock.name
        pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#", "--"))]
        assert lock.name == "overrides.txt" or all("==" in line and line.endswith("\\") for line in pinned), lock.name


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def impurities(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names if each.name.partition(".")[0] in IMPURE_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in IMPURE_MODULES:
            # Paths that only name are pure; those that open are not.
            if not all(each.name.startswith("Pure") for each in node.names):
                yield node.lineno, str(node.module)
        elif isinstance(node, ast.Call) and called(node) in IMPURE_CALLS:
            yield node.lineno, f"{called(node)}()"


def imported(file: Path) -> Iterator[str]:
    """The files of this project that this one imports from, by their modules' names."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for module in (node.module, *(f"{node.module}.{each.name}" for each in node.names)):
                yield f"{module.replace('.', '/')}.py"
        elif isinstance(node, ast.Import):
            yield from (f"{each.name.replace('.', '/')}.py" for each in node.names)


def called(node: ast.Call) -> str:
    target = node.func
    return target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""


def broad_catches(file: Path) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or caught(node.type) & BROAD):
            yield node


def caught(node: ast.expr) -> set[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {part.id for part in parts if isinstance(part, ast.Name)}
