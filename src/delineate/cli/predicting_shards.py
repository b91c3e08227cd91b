"""What is predicted of a manifest is written in shards, by this process or by the actors of an engine."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rich.markup import escape

from delineate.cli.output import print_line, progress, say
from delineate.values import InputError, counted

if TYPE_CHECKING:
    from delineate.deploy import Predictor, TopDown
    from delineate.deploy.batch import Batch, ColumnPredictor, Done, Manifest, Shard


def check_shards(in_shards: bool, of_shards: Mapping[str, object], of_others: Mapping[str, object]) -> None:
    """Raise `InputError` for options that have no meaning with, or without, shards; those not given are false."""
    for name, value in (of_others if in_shards else of_shards).items():
        if value:
            reason = "parquet has none" if in_shards else "shards are written with --format parquet"
            raise InputError(f"{name}: {reason}; {'leave it out' if in_shards else 'add it, or leave this out'}")
    if of_shards["address"] and not of_shards["engine"]:
        raise InputError("address: it is that of an engine's cluster; add --engine ray")


def predict_shards(
    predictor: "Predictor | TopDown",
    find: "ColumnPredictor",
    paths: Sequence[str],
    out: str,
    made_by: Mapping[str, Any],
    *,
    shard: str | None,
    engine: Literal["ray"] | None,
    address: str | None,
    again: bool,
) -> None:
    """Predict the shards that are asked for and not done yet, and say what was done.

    Raises `InputError` for a shard that there is not, and as `Manifest`, `predict_shard` and `predict_with_ray` do.
    """
    from delineate.deploy.batch import Batch, Manifest, predict_shard, predict_with_ray, task_of
    from delineate.io.stores import located

    manifest = Manifest(paths)
    shards = asked_for(manifest, shard, engine)
    batch = Batch(
        manifest=manifest,
        out=located(out).rstrip("/"),
        task=task_of(predictor),
        categories=predictor.categories,
        options=find.options,
        made_by=made_by,
    )
    start = time.perf_counter()
    if engine is None:
        done = _watched((predict_shard(batch, predictor, one, again=again) for one in shards), len(shards))
    else:
        done = _watched(predict_with_ray(find, batch, shards, address=address, again=again), len(shards))
    _say(batch, [*done], time.perf_counter() - start)


def asked_for(manifest: "Manifest", shard: str | None, engine: str | None) -> "list[Shard]":
    """Say which shards are meant by `K/N` or `N`; without either it is one, or as many as suit an engine."""
    from delineate.deploy.batch import Shard

    text = shard or (str(manifest.usual_shards) if engine else "1")
    number, _, count = text.rpartition("/")
    try:
        total = int(count)
        chosen = [int(number)] if number else range(1, total + 1)
        if total < 1 or not all(1 <= one <= total for one in chosen):
            raise ValueError
    except ValueError:
        raise InputError(f"shard: {text!r} is no part; write 3/64 for the third of 64, the first is 1/64") from None
    if total > len(manifest):
        unit = "archive" if manifest.archives else "picture"
        raise InputError(f"shard: {total} parts of {counted(len(manifest), unit)}; ask for {len(manifest)} at most")
    return [Shard(one, total) for one in chosen]


def _watched(done: "Iterator[Done]", total: int) -> "Iterator[Done]":
    with progress() as bar:
        task = bar.add_task("predicting shards", total=total)
        for one in done:
            yield one
            bar.advance(task)


def _say(batch: "Batch", done: "Sequence[Done]", seconds: float) -> None:
    before = sum(one.done_before for one in done)
    if before:
        say(f"{before} of {counted(len(done), 'shard')} were done before; --again does them anew")
    pictures, unreadable = sum(one.pictures for one in done), sum(one.unreadable for one in done)
    if pictures > unreadable and batch.task.finds_many and not any(one.objects for one in done):
        say("no object scored what was asked for; --min-score lowers that")
    speed = f" ({pictures / seconds:.1f} a second)" if pictures else ""
    failed = f", [red]{unreadable} could not be read[/] (their rows have an error)" if unreadable else ""
    where = done[0].file if len(done) == 1 else batch.out
    print_line(f"{pictures} pictures in {seconds:.1f} s{speed}{failed}; the results are in [bold]{escape(where)}[/]")
