"""Ray Data gives the shards of a manifest to actors on all machines of a cluster.

Each actor loads the system once and takes a shard at a time, which goes through the pipeline of every prediction: so
results are those of one process, a shard's pictures are never all in memory, and nothing waits in Ray's object store.
Files that are there are what is known to be done: an actor that dies is started anew with its shard, and a command that
was killed goes on where files are missing. Ray's own checkpoints, a number for each row, would have to be loaded into
memory whole.
"""

import logging
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from delineate.deploy.batch.columns import ColumnPredictor
from delineate.deploy.batch.shards import Batch, Done, Shard, predict_shard
from delineate.values import InputError


class ShardPredictor:
    """An actor predicts shard after shard; what it says of each is one row."""

    def __init__(self, find: ColumnPredictor, batch: Batch, again: bool) -> None:
        self.find, self.batch, self.again = find, batch, again

    def __call__(self, shards: dict[str, Any]) -> dict[str, Any]:
        said = []
        for number, count in zip(shards["number"].tolist(), shards["count"].tolist(), strict=True):
            done = predict_shard(self.batch, self.find.finder, Shard(number, count), again=self.again)
            said.append(vars(done))
        return {name: [done[name] for done in said] for name in said[0]}


def predict_with_ray(
    find: ColumnPredictor, batch: Batch, shards: Sequence[Shard], *, address: str | None = None, again: bool = False
) -> Iterator[Done]:
    """Predict shards by actors, one on each core, or on each GPU where there are some, and give each as it is done.

    `address` is that of a running cluster; without it, Ray starts on this machine alone. Raises `InputError` where Ray
    is not installed or the cluster does not answer.
    """
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError:
        raise InputError("engine: Ray is not installed; pip install 'delineate[ray]'") from None
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"address: {address or 'this machine'}: {str(error).splitlines()[0]}") from error
    there = ray.cluster_resources()
    on_gpus = find.loading[0] != "cpu" and there.get("GPU", 0) >= 1
    num_actors = max(1, min(len(shards), int(there["GPU" if on_gpus else "CPU"])))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it announces plans and the end
    numbers = ray.data.from_items(
        [{"number": shard.number, "count": shard.count} for shard in shards], override_num_blocks=len(shards)
    )
    done = numbers.map_batches(
        ShardPredictor,
        fn_constructor_args=(find, batch, again),
        batch_size=1,
        num_cpus=1,
        num_gpus=1 if on_gpus else 0,
        compute=ray.data.ActorPoolStrategy(size=num_actors, max_tasks_in_flight_per_actor=1),
    )
    for row in done.iter_rows():
        yield Done(**row)
