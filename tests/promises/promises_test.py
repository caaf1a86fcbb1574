"""The list of promises names tests that there are, and counts what they find."""

import ast
import types

import pytest

from promises import PROMISES, TESTS, Count, belongs


@pytest.mark.parametrize("promise", PROMISES)
def test_the_tests_of_a_promise_exist(promise):
    for test in PROMISES[promise]:
        path, _, name = test.partition("::")
        functions = {
            node.name
            for node in ast.parse((TESTS / path).read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
        assert not name or name in functions, test


def test_every_file_of_promises_belongs_to_one():
    named = {test.split("::")[0] for tests in PROMISES.values() for test in tests}
    here = {f"promises/{path.name}" for path in TESTS.glob("promises/*_test.py")}
    assert here - named == {"promises/promises_test.py"}


def report(node, when="call", outcome="passed", **properties):
    return types.SimpleNamespace(
        nodeid=f"tests/{node}",
        when=when,
        user_properties=list(properties.items()),
        failed=outcome == "failed",
        skipped=outcome == "skipped",
    )


def test_attempts_and_failures_are_counted():
    counted, crash = Count(), next(iter(PROMISES))
    node = "promises/crash_test.py::test_killed[training]"
    for when in ("setup", "call", "teardown"):
        counted.pytest_runtest_logreport(report(node, when, attempts=20))
    counted.pytest_runtest_logreport(report(node, outcome="failed"))
    counted.pytest_runtest_logreport(report(node, "setup", "skipped"))
    counted.pytest_runtest_logreport(report("nn/conv_test.py::test_other"))
    assert f"| {crash} | 21 | 1 | 1 |" in counted.table()
    assert sum(counted.attempts.values()) == 21


def test_a_test_belongs_by_its_name_or_its_file():
    assert belongs("tests/a_test.py::test_b[x::y]", "a_test.py::test_b")
    assert belongs("tests/a_test.py::test_b[x::y]", "a_test.py")
    assert not belongs("tests/a_test.py::test_bc", "a_test.py::test_b")
