"""A trained system is one file: safetensors whose header says, as JSON, everything needed to use it again."""

import importlib.metadata
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from delineate.data.preprocess import Preprocess
from delineate.io.files import written_beside
from delineate.io.mistaken import is_pickled, what_it_is
from delineate.values import Categories, InputError, Thresholds

VERSION = 3
"""Counted up whenever the facts come to mean something else. Version 1 had neither a version nor thresholds; until 2
`segnet` ended in other layers, R-CNN read boxes from other features, and an RPN without a pyramid had five sizes."""
FOREIGN = "weights of another library: `delineate import` (those of a backbone go to --backbone-weights)"
PACKAGES = ("delineate", "torch", "torchvision", "timm")


def versions() -> dict[str, str]:
    """List the versions of what a checkpoint is made with."""
    return installed(PACKAGES)


def installed(packages: Iterable[str]) -> dict[str, str]:
    """List the versions of those packages that are installed."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


class Facts(BaseModel):
    """A checkpoint says these facts of its system, beside the weights."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(VERSION, ge=1, le=VERSION)
    system: str
    arguments: dict[str, Any]
    categories: Categories
    preprocess: Preprocess
    thresholds: Thresholds | None = None
    metrics: dict[str, float] = {}
    versions: dict[str, str] = Field(default_factory=versions)


def write_checkpoint(file: Path, facts: Facts, weights: dict[str, Tensor]) -> None:
    """Write `file` (.safetensors) and the same facts as JSON beside it, each whole or not at all."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    with written_beside(file) as beside:
        beside.write_bytes(safetensors.torch.save(tensors, metadata={"delineate": facts.model_dump_json()}))
    with written_beside(file.with_suffix(".json")) as beside:
        beside.write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_checkpoint(file: Path) -> tuple[Facts, dict[str, Tensor]]:
    """Read the facts and the weights; raises `InputError` naming the file when it is missing or not a checkpoint."""
    with _opened(file) as opened:
        return _facts(file, opened), {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  (not a dict)


def read_facts(file: Path) -> Facts:
    """Read what `file` says of its system, but no weights; raises as `read_checkpoint` does."""
    with _opened(file) as opened:
        return _facts(file, opened)


def is_checkpoint(file: Path) -> bool:
    """Tell whether `file` is a checkpoint of ours, and not somebody else's weights."""
    if file.suffix != ".safetensors" or not file.is_file():
        return False
    with _opened(file) as opened:
        return "delineate" in (opened.metadata() or {})


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    if not file.is_file():
        raise InputError(f"{file}: no such checkpoint; give a run folder or a .safetensors file written by a run")
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            yield opened
    except safetensors.SafetensorError as error:
        said = what_it_is(file) or (FOREIGN if is_pickled(file) else f"not a whole safetensors file ({error})")
        raise InputError(f"{file}: {said}") from error


def _facts(file: Path, opened: Any) -> Facts:
    header = opened.metadata() or {}
    if "delineate" not in header:
        raise InputError(f"{file}: not a checkpoint of delineate, but {FOREIGN}")
    try:
        facts = Facts(**{"version": 1, **json.loads(header["delineate"])})
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: its header is not that of a checkpoint: {first_problem(error)}") from error
    return _without_refine(facts, file) if facts.system == "pose_regressor" else facts


def _without_refine(facts: Facts, file: Path) -> Facts:
    """Read `--refine` of earlier pose regressors, which have `--stages` now; raises `InputError` for those with two."""
    arguments = dict(facts.arguments)
    if "refine" not in arguments:
        return facts
    if arguments.pop("refine"):
        raise InputError(f"{file}: its second stage (--refine) saw other windows than those of --stages; train it anew")
    return facts.model_copy(update={"arguments": {**arguments, "stages": 1}})


def first_problem(error: Exception) -> str:
    """Say the first thing that is wrong with the facts in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    if place == "version":
        return f"its version is {problem['input']}, and this delineate reads up to {VERSION}; install a newer one"
    return f"{place}: {str(problem['msg']).removeprefix('Value error, ')}"
