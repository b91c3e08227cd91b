"""Ours and the peer measured in turns, and the rows that every script prints."""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NotRequired, TypedDict

from rich.console import Console
from rich.table import Table


class Row(TypedDict):
    """One question's answer; a `ratio` above 1 means that ours is better. Some have no peer."""

    name: str
    ours: float
    peer: NotRequired[float]
    ratio: NotRequired[float]


def interleaved(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Row:
    """The median seconds of both after a call of each to warm up; who begins a turn alternates."""
    seconds: dict[Callable[[], object], list[float]] = {ours: [], peer: []}
    for turn in range(repeats + 1):
        for run in (ours, peer) if turn % 2 else (peer, ours):
            start = clock()
            run()
            seconds[run].append(clock() - start)
    mine, its = (statistics.median(seconds[run][1:]) for run in (ours, peer))
    return {"name": name, "ours": mine, "peer": its, "ratio": its / mine}


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """A JSON list on standard output, or a table."""
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table("", "ours", "peer", "ratio")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        beside = (f"{row['peer']:.4g}", f"{row['ratio']:.2f}") if "peer" in row else ()
        table.add_row(row["name"], f"{row['ours']:.4g}", *beside)
    Console().print(table)
