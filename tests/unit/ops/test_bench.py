"""
`tdu bench`: the shape that programs read, goals that can be missed, and times that are those of the task.
"""

from __future__ import annotations

import json
import time
from importlib import import_module
from types import ModuleType

import pytest
from typer.testing import CliRunner

from adapters.exam import EXAM_CONTEXT
from adapters.registry import ADAPTERS
from ops.bench import BENCHES, measured
from ops.bench.adapters import largest
from ops.bench.by_hand import BY_HAND, identities_of
from ops.bench.measured import Goal, Measured, microseconds
from ops.bench.strangers import rank_sum_z
from ops.cli import app


def bench_of(figures: dict[str, float], goals: dict[str, Goal]) -> ModuleType:
    """A bench that always gives these figures."""
    module = ModuleType("fixed")
    module.run = lambda _say: Measured(figures, goals)  # type: ignore[attr-defined]
    return module


def test_the_bench_of_schemas_gives_the_promised_object() -> None:
    """One object on stdout: figures for each kind beside the reference, goals met or not, command, machine."""
    done = CliRunner().invoke(app, ["bench", "schemas", "--json"])
    found = json.loads(done.stdout)

    assert ["bench", "figures", "goals", "command", "machine"] == list(found)
    assert ("schemas", "tdu bench schemas") == (found["bench"], found["command"])
    assert found["figures"]["referral_us"] > 0
    ratio = found["figures"]["referral_jsonschema_us"] / found["figures"]["referral_us"]
    assert pytest.approx(ratio, rel=0.01) == found["figures"]["referral_ratio"]
    assert {"value", "goal", "met"} == set(found["goals"]["valid_ratio"])
    assert found["figures"]["valid_ratio"] == found["goals"]["valid_ratio"]["value"]
    assert {"processor", "cores", "system", "python"} == set(found["machine"])
    assert "referral" in done.stderr


def test_a_missed_goal_fails_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--strict` exits 1 when a goal is not met; without it the object says so and the exit code is 0."""
    figures = {"fast_per_s": 10.0, "slow_ms": 9.0}
    goals = {"fast_per_s": Goal(10.0, 11.0), "slow_ms": Goal(9.0, 9.0, at_most=True)}
    monkeypatch.setitem(BENCHES, "fixed", "fixed")  # type: ignore[arg-type]
    monkeypatch.setattr("ops.commands.bench.import_module", lambda _name: bench_of(figures, goals))
    usual = CliRunner().invoke(app, ["bench", "fixed", "--json"])
    strict = CliRunner().invoke(app, ["bench", "fixed", "--json", "--strict"])

    assert (0, 1) == (usual.exit_code, strict.exit_code)
    assert {
        "fast_per_s": {"value": 10.0, "goal": 11.0, "met": False},
        "slow_ms": {"value": 9.0, "goal": 9.0, "met": True},
    } == json.loads(strict.stdout)["goals"]


def test_all_runs_every_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """`all` gives one list, with each bench of the table in its order."""
    monkeypatch.setattr("ops.commands.bench.import_module", lambda _name: bench_of({"a_us": 1.23456}, {}))
    found = json.loads(CliRunner().invoke(app, ["bench", "all", "--json"]).stdout)

    assert list(BENCHES) == [each["bench"] for each in found]
    assert {1.235} == {each["figures"]["a_us"] for each in found}


def test_a_table_says_what_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For people, the table has the figure, its goal and whether it is met."""
    goals = {"a_ratio": Goal(2.0, 3.0)}
    monkeypatch.setattr("ops.commands.bench.import_module", lambda _name: bench_of({"a_ratio": 2.0}, goals))
    done = CliRunner().invoke(app, ["bench", "schemas"])

    assert "a_ratio" in done.stdout
    assert "≥ 3 ✗" in done.stdout


def test_an_unknown_bench_is_named_with_those_that_exist() -> None:
    """A name that is no bench exits 2 and lists the benches."""
    done = CliRunner().invoke(app, ["bench", "nothing"])

    assert 2 == done.exit_code
    assert "schemas" in done.stderr


@pytest.mark.parametrize(
    ("name", "variable"),
    [("ingest", "TDU_TEST_POSTGRES_URL"), ("through", "TDU_TEST_AMQP_URL"), ("through", "TDU_TEST_POSTGRES_URL")],
)
def test_a_missing_server_is_named_with_what_gives_it(
    name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the address of a server, the bench exits 2 and says in both languages what is missing and what finds it."""
    for each in ("TDU_TEST_POSTGRES_URL", "TDU_TEST_AMQP_URL"):
        monkeypatch.setenv(each, "amqp://127.0.0.1/")
    monkeypatch.delenv(variable)
    done = CliRunner().invoke(app, ["bench", name])

    assert 2 == done.exit_code
    assert isinstance(done.exception, SystemExit)
    assert 2 == done.stderr.count(f"{variable} ")
    assert "« make bench » le trouve ou le démarre" in done.stderr
    assert "“make bench” finds or starts it" in done.stderr


@pytest.mark.parametrize("name", BENCHES)
def test_each_bench_can_be_run(name: str) -> None:
    """Each name of the table leads to a module with a `run`."""
    assert callable(import_module(BENCHES[name]).run)


def spin(seconds: float) -> None:
    """Compute for a given processor time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_times_are_those_of_one_call() -> None:
    """A task of a millisecond takes a thousand microseconds, another is measured apart, what is done once is left out."""
    calls = []

    def task() -> None:
        spin(0.001 if calls else 0.2)
        calls.append(1)

    long, short = microseconds(task, lambda: spin(0.0001), rounds=3, seconds=0.01)

    assert 1000 <= long < 2000
    assert 100 <= short < 300


def test_the_machine_is_described() -> None:
    """Figures mean nothing without the processor and the interpreter."""
    found = measured.machine()

    assert found["cores"] >= 1
    assert found["python"].startswith("3.")


def test_the_rank_sum_tells_samples_apart() -> None:
    """Known sums of ranks: all of the first above, ties sharing their ranks, and the sign turned with the sides."""
    low, high = [float(value) for value in range(20)], [float(value) for value in range(20, 40)]
    apart = rank_sum_z(high, low)

    assert 200 / (20 * 20 * 41 / 12) ** 0.5 == pytest.approx(apart)
    assert -apart == pytest.approx(rank_sum_z(low, high))
    assert 0 == pytest.approx(rank_sum_z(low, low))


GENERIC = {"orientation-csv", "orientation-xlsx", "orientation-json", "orientation-xml", "cnaf-rsa"}
"""What the comparison makes its own files for."""


@pytest.mark.parametrize("name", sorted(ADAPTERS.keys() - GENERIC))
def test_every_format_that_names_people_is_compared_with_a_parser_by_hand(name: str) -> None:
    """The parser written by hand reads, in the format's largest sample, the people that the adapter does."""
    found = largest(ADAPTERS[name])
    if found is None:
        assert not ADAPTERS[name].kinds_in
        return
    documents = ADAPTERS[name].to_shared(found[0], EXAM_CONTEXT).documents
    given = identities_of(each.document for each in documents)
    assert given <= set(BY_HAND[name](found[0])) if given else name not in BY_HAND
