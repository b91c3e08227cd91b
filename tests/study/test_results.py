import csv
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.study.samples import result

from delineate.study import Latency, pareto_front, recommendations
from delineate.study.results import Findings, Result, not_tried, together, write_tables


def test_the_front_is_of_those_that_none_beats() -> None:
    costs, values = [1.0, 2.0, 3.0, 4.0, 2.0], [0.3, 0.2, 0.5, 0.5, 0.4]
    assert pareto_front(costs, values) == [0, 4, 2]
    assert pareto_front([1.0], [0.0]) == [0]
    assert pareto_front([2.0, 1.0], [0.5, 0.5]) == [1]


@pytest.mark.parametrize("seed", range(5))
def test_the_front_by_its_definition(seed: int) -> None:
    import random

    random.seed(seed)
    costs, values = ([round(random.random(), 1) + 0.1 for _ in range(12)] for _ in range(2))
    front = pareto_front(costs, values)
    for i in range(12):
        beaten = any(
            costs[j] <= costs[i] and values[j] >= values[i] and (costs[j], values[j]) != (costs[i], values[i])
            for j in range(12)
        )
        if beaten:
            assert i not in front
        else:
            assert any((costs[i], values[i]) == (costs[j], values[j]) for j in front)


def test_each_rate_that_changes_the_answer_gets_a_line() -> None:
    lines = recommendations([result("faster_rcnn", 0.5, 3.0), result("ssd", 0.45, 40.0), result("yolov2", 0.3, 35.0)])
    assert lines == [
        "For accuracy alone: faster_rcnn (AP 0.500, 3 pictures/s, most between 2.5 and 3.33).",
        "For at least 5 pictures/s on this machine: ssd (AP 0.450, 40 pictures/s, most between 33.3 and 44.4).",
        "None of them surely reaches 100 pictures/s on this machine.",
    ]


def test_a_rate_that_is_not_kept_decides_nothing_and_unsteady_times_are_said() -> None:
    busy = dict(result("ssd", 0.45, 40.0).latency)
    busy["total"] = Latency(median=0.025, low=0.02, high=0.12)
    lines = recommendations([result("faster_rcnn", 0.5, 3.0), result("ssd", 0.45, 40.0, latency=busy)])
    assert lines[2] == "None of them surely reaches 10 pictures/s on this machine."
    assert lines[3].startswith("The times of ssd vary by up to 6 times (10-90 %)")


def test_a_difference_within_the_spread_is_said() -> None:
    close = [result("ssd", 0.45, 40.0, spread={"AP": 0.02}), result("yolov2", 0.44, 50.0, spread={"AP": 0.01})]
    assert recommendations(close)[1].startswith("yolov2 is as good within the spread of the seeds (±0.020)")
    apart = [result("ssd", 0.48, 40.0, spread={"AP": 0.02}), result("yolov2", 0.44, 50.0, spread={"AP": 0.01})]
    assert not any("spread" in line for line in recommendations(apart))


def test_what_was_not_tried_is_named() -> None:
    line = not_tried([result("ssd", 0.45, 40.0)])
    assert "faster_rcnn" in line
    assert " ssd," not in line
    assert "unet" not in line


def test_seeds_are_a_mean_and_a_spread() -> None:
    one, two = result("ssd", 0.4, 10.0), result("ssd", 0.6, 10.0, seeds=[1], pictures=2000)
    both = together([one, two])
    assert both.metrics["AP"] == pytest.approx(0.5)
    assert both.spread["AP"] == pytest.approx(0.1414, abs=1e-4)
    assert both.seeds == [0, 1]
    assert both.pictures == 1500
    assert together([one]).spread["AP"] == 0


def test_a_result_survives_its_file() -> None:
    expected = result("ssd resnet18", 0.4, 10.0)
    assert Result.read(json.loads(json.dumps(asdict(expected)))) == expected


def test_tables_have_a_row_a_system(tmp_path: Path) -> None:
    findings = Findings(results=[result("ssd", 0.4, 10.0), result("detr", 0.2, 5.0)], failures={"rcnn, seed 0": "no"})
    write_tables(tmp_path, findings)
    with (tmp_path / "results.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["name"] for row in rows] == ["ssd", "detr"]
    assert float(rows[0]["AP"]) == 0.4
    assert float(rows[0]["total (s)"]) == 0.1
    assert float(rows[0]["memory (MiB)"]) == 300
    values = json.loads((tmp_path / "results.json").read_text())
    assert values["failures"] == {"rcnn, seed 0": "no"}
    assert [row["name"] for row in values["results"]] == ["ssd", "detr"]
