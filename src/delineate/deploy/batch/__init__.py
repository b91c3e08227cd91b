"""Millions of pictures are predicted by many processes: a manifest in shards, a file of Parquet for each."""

from delineate.deploy.batch.columns import ColumnPredictor
from delineate.deploy.batch.engine import predict_with_ray
from delineate.deploy.batch.manifest import Manifest
from delineate.deploy.batch.rows import schema_of, task_of
from delineate.deploy.batch.shards import Batch, Done, Shard, predict_shard

__all__ = [
    "Batch",
    "ColumnPredictor",
    "Done",
    "Manifest",
    "Shard",
    "predict_shard",
    "predict_with_ray",
    "schema_of",
    "task_of",
]
