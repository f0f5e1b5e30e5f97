"""The simulation of many machines, against theory where there is theory; and the measuring, against a server."""

from __future__ import annotations

import json
import math
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import fleet
from benchmarks.service_times import Front, InvalidTimesError, Point, Times, measure, quantile
from benchmarks.simulation import (
    LEAST_REQUESTS,
    LEAST_REQUESTS_GLOBALLY,
    POLICIES,
    RANDOM,
    NoMachineError,
    Plan,
    simulate,
)

STORED = sorted(Path(fleet.__file__).parent.glob("times-*.json"))
SECOND = Times("a second", "tests", (Point(1, 1.0, (0.0,)),), (1.0,))
"""A server that makes one sentence at a time, a second of sound in a second, from its beginning on."""


def drawn(chance: random.Random) -> float:
    """Seconds of a sentence, without memory, of one second on average."""
    return chance.expovariate(1.0)


def servers(number: int) -> Times:
    """A machine of so many servers, each a second of sound in a second for one sentence."""
    points = tuple(Point(streams, float(streams), (0.0,)) for streams in range(1, number + 1))
    return replace(SECOND, points=points)


def erlang_c(number: int, load: float) -> float:
    """Return the chance that somebody has to wait for one of so many servers, at so many Erlang."""
    terms = [load**k / math.factorial(k) for k in range(number)]
    waits = load**number / math.factorial(number) * number / (number - load)
    return waits / (sum(terms) + waits)


@pytest.mark.parametrize(
    ("number", "load"), [(1, 0.5), pytest.param(1, 0.8, marks=pytest.mark.long), (4, 3.0), (16, 13.0)]
)
def test_waits_are_those_of_a_queue_before_so_many_servers(number: int, load: float) -> None:
    """M/M/c: the mean wait is C(c, a) / (c - a) of a service, and the chance to wait C(c, a)."""
    result = simulate(Plan(load, 1, seconds=150_000 / load), servers(number), drawn)
    waits = [each.wait for each in result.completed]
    assert statistics.fmean(waits) == pytest.approx(erlang_c(number, load) / (number - load), rel=0.06)
    assert sum(wait > 1e-9 for wait in waits) / len(waits) == pytest.approx(erlang_c(number, load), rel=0.03)


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_a_shared_server_takes_as_long_whatever_the_lengths_are(spread: float) -> None:
    """M/G/1, processor sharing: the mean time is 1 / (1 - load) of a service, for lengths of any spread."""

    def lengths(chance: random.Random) -> float:
        """One second on average: always, without memory, or mostly short."""
        if spread > 1:  # two kinds: a variance of 9
            return chance.expovariate(0.1 if chance.random() < 0.05 else 19 / 10)
        return 1.0 if not spread else chance.expovariate(1.0)

    one = replace(SECOND, points=(Point(1, 1.0, (0.0,)), Point(1000, 1.0, (0.0,))))
    result = simulate(Plan(0.6, 1, seconds=60_000), one, lengths)
    times = [each.ended - each.arrived for each in result.completed]
    assert statistics.fmean(times) == pytest.approx(1 / (1 - 0.6), rel=0.05)


@pytest.mark.parametrize("policy", POLICIES)
def test_as_many_are_there_as_come_in_the_time_that_each_stays(policy: str) -> None:
    """Little's law, of what is at the machines; the front takes no time here."""
    times = Times("t", "tests", (Point(1, 2.0, (0.1,)), Point(8, 10.0, (0.2,))), (0.5, 1.0, 4.5))
    plan = Plan(30, 4, fronts=3, policy=policy, seconds=2000)
    result = simulate(plan, times)
    stays = sum(each.ended - each.arrived for each in result.completed)
    assert result.mean_active == pytest.approx(stays / (plan.seconds * 0.9), rel=0.01)
    heard = sum(each.length for each in result.completed) / (plan.seconds * 0.9)
    assert heard == pytest.approx(plan.speakers, rel=0.03), "speakers are seconds of sound a second"


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.stem)
def test_who_asks_whoever_has_least_to_do_waits_no_longer_than_by_chance(file: Path) -> None:
    times = Times.read(file)
    for load in (0.3, 0.6, 0.9):
        plan = Plan(load * times.points[-1].total * 6, 6, fronts=2, seconds=60)
        p95 = {
            policy: simulate(replace(plan, policy=policy), replace(times, front=Front())).wait(0.95)
            for policy in POLICIES
        }
        assert p95[LEAST_REQUESTS_GLOBALLY] <= p95[LEAST_REQUESTS] * 1.02
        assert p95[LEAST_REQUESTS] <= p95[RANDOM] * 1.02


def test_one_front_knows_as_much_as_all() -> None:
    """And so whom it has asked for least is who has least to do."""
    own, shared = (
        [each.ended for each in simulate(Plan(30, 40, policy=policy, seconds=300), SECOND).sentences]
        for policy in (LEAST_REQUESTS, LEAST_REQUESTS_GLOBALLY)
    )
    assert own == shared


def test_the_same_seed_is_the_same_world_and_another_is_another() -> None:
    plan = Plan(20, 3, fronts=2, policy=RANDOM, hits=0.3, seconds=100, fails=50)
    times = servers(8)

    def waits(plan: Plan) -> list[float]:
        return [each.wait for each in simulate(plan, times).sentences]

    assert waits(plan) == waits(plan)
    assert waits(plan) != waits(replace(plan, seed=2))


def test_what_a_cache_has_no_machine_makes() -> None:
    times = replace(servers(8), front=Front(first=0.5, passing=0.001, hit=0.0001))
    result = simulate(Plan(7, 1, hits=0.4, seconds=5000), times, drawn)
    hits = [each for each in result.sentences if each.hit]
    assert len(hits) / len(result.sentences) == pytest.approx(0.4, rel=0.03)
    assert all(each.attempts == 0 and each.wait < 0.1 for each in hits)
    assert all(each.attempts == 1 and each.wait >= 0.5 for each in result.sentences if not each.hit)
    assert result.mean_active == pytest.approx(7 * 0.6, rel=0.06)
    assert simulate(Plan(7, 1, hits=1.0, seconds=50), times).requests == [0]


def test_a_front_that_has_too_much_to_pass_on_is_what_breaks_first() -> None:
    times = replace(servers(100), front=Front(passing=0.02))
    slow = simulate(Plan(60, 1, fronts=1, seconds=60), times, drawn)
    quick = simulate(Plan(60, 1, fronts=3, seconds=60), times, drawn)
    assert slow.wait(0.95) > 5 > 0.5 > quick.wait(0.95)


def test_a_machine_that_ends_costs_nobody_a_sentence_while_another_is_left() -> None:
    times = replace(servers(40), points=(Point(1, 2.0, (0.1,)), Point(40, 80.0, (0.1,))))
    plan = Plan(60, 4, fronts=2, seconds=100, fails=50, notice=2)
    result = simulate(plan, times, drawn)
    assert result.failed == 0
    again = [each for each in result.sentences if each.attempts > 1]
    assert again
    assert all(each.ended >= 52 for each in again)
    assert any(each.first > 52 for each in again), "who heard nothing waits until it is noticed"
    assert all(each.machine != 0 for each in result.sentences if each.arrived > 52)
    assert result.wait(1.0, since=53) == pytest.approx(0.1), "three are enough"
    at_once = simulate(replace(plan, notice=0), times, drawn)
    assert at_once.wait(1.0) < 1 < result.wait(1.0)


def test_where_the_last_machine_ends_nothing_is_spoken_and_that_is_counted() -> None:
    result = simulate(Plan(3, 1, seconds=100, fails=50, notice=0), servers(10), drawn)
    assert (
        result.failed == sum(each.arrived > 50 or math.isnan(each.ended) for each in result.sentences) > 100
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"machines": 0},
        {"fronts": 0},
        {"hits": 1.1},
        {"speakers": 0},
        {"seconds": 0},
        {"streams": -1},
        {"notice": -1},
        {"policy": "x"},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(NoMachineError):
        Plan(**{"speakers": 1, "machines": 1, **wrong})  # type: ignore[arg-type]


def test_no_machine_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.main(["--machines", "0"]) == 1
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "error: machines: 0: must be at least 1\n")


def test_speed_and_first_sound_are_measured_or_between_what_was_measured() -> None:
    times = Times("t", "tests", (Point(2, 4.0, (0.1, 0.3)), Point(4, 6.0, (0.2, 0.6))), (1.0,))
    assert [times.speed(streams) for streams in (1, 2, 3, 4, 12)] == pytest.approx([4, 2, 5 / 3, 1.5, 0.5])
    assert [times.first(3, chance) for chance in (0.0, 0.5, 1.0)] == pytest.approx([0.15, 0.3, 0.45])
    assert math.isnan(quantile([], 0.5))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"name": "x", "source": "x", "points": [], "lengths": [1]}',
        '{"name": "x", "source": "x", "points": [{"streams": 1, "total": 0, "first": [1]}], "lengths": [1]}',
        '{"name": "x", "source": "x", "points": [{"streams": 1, "total": 1, "first": []}], "lengths": [1]}',
        '{"name": "x", "source": "x", "points": [{"streams": 1, "total": 1, "first": [1]}], "lengths": [0]}',
    ],
)
def test_a_file_that_has_no_times_is_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "times.json").write_text(content)
    with pytest.raises(InvalidTimesError):
        Times.read(tmp_path / "times.json")
    assert fleet.main(["--times", str(tmp_path / "times.json")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.stem)
def test_stored_times_say_where_they_come_from(file: Path) -> None:
    times = Times.read(file)
    assert times.source.startswith(("measured: python -m benchmarks.fleet --measure", "cited: "))
    for point in json.loads(file.read_text())["points"] if times.source.startswith("cited") else []:
        assert point["source"], "each of other people's figures has its own"


def test_the_tables_are_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "fleet.svg"
    options = ["--seconds", "5", "--machines", "1", "3", "--plot", str(plot)]
    assert fleet.main(options) == 0
    first = capsys.readouterr().out
    assert fleet.main(options) == 0
    assert capsys.readouterr().out == first
    assert "| load | 1 machine | 3 machines |" in first
    assert first.count("\n| 70% |") == 3
    assert plot.read_text().count("<polyline") == 2 + len(POLICIES)
    assert fleet.main([*options, "--speakers", "10", "--fronts", "1", "--hits", "0.5"]) == 0
    assert "\n| 10 |" in capsys.readouterr().out


async def test_service_times_are_measured_over_the_protocol(home: str, tmp_path: Path) -> None:
    found = await measure(home, 1.0, (1, 3))
    assert [point.streams for point in found.points] == [1, 3]
    assert all(0 < point.first[0] <= point.first[-1] < 10 for point in found.points)
    assert all(0.3 < length < 20 for length in found.lengths)
    found.write(tmp_path / "times.json")
    assert Times.read(tmp_path / "times.json") == found


def test_a_real_server_is_held_beside_a_simulated_one(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.main(["--check", home, "--seconds", "1"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.count("|") == 5
    assert [row.split(" | ")[0] for row in rows] == ["| 25%", "| 50%", "| 70%"]
    for row in rows:
        real, simulated = (cell.strip(" |").split(" / ") for cell in row.split(" | ")[2:])
        assert 0 < float(real[0]) <= float(real[1])
        assert 0 < float(simulated[0]) <= float(simulated[1])
