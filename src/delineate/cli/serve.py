"""`delineate serve RUNS` answers over HTTP what runs and exports find, and shows the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from delineate.cli.operating import taken_from
from delineate.cli.options import Device
from delineate.cli.output import say
from delineate.cli.predict_options import Optimise, Precision, Weights
from delineate.values import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette


Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUNS...",
        help="Folders that `delineate train` or `delineate export` wrote, or .safetensors files of weights. Each is "
        "served by the name of its folder, or by another one: cells=runs/7.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(help="Folder of pictures, or of a data set, that the page shows, to look at and to correct."),
]
Host = Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is all of this machine's.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; with 0, one that is free.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="DELINEATE_TOKEN",
        help="Secret that clients need; if not given, none where only this machine reaches the address, and else a new "
        "one, which is printed. The variable keeps it out of the list of processes.",
    ),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(help="Name by which clients call this server, such as that of a proxy before it; repeat for more."),
]
Processes = Annotated[
    int,
    typer.Option(min=1, help="Processes that serve, each with all models; one that dies is started anew."),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Threads that decode pictures and write answers; if not given, a core each, at most 4."),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many pictures of one resized size go through the network together, at most; if not given, 1 where "
        "PyTorch computes on a CPU, each of whose cores then has one, and 8 elsewhere.",
    ),
]
Wait = Annotated[
    float, typer.Option(min=0, max=1000, help="Milliseconds that a picture waits, at most, for others of its size.")
]
Queue = Annotated[
    int, typer.Option(min=1, help="Pictures that may wait for a model; who sends more is told to try again.")
]
MaxBytes = Annotated[int, typer.Option(min=1, help="Bytes that a request may have.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Pixels that a picture may have, counted before it is decoded.")]
MaxPictures = Annotated[int, typer.Option(min=1, help="Pictures that a request may have.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds in which a request is answered, or refused.")]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """All that a process needs to serve, which it is given when it is started."""

    runs: Mapping[str, Path]
    options: Mapping[str, Any]
    data: Path | None
    token: str | None
    hosts: Sequence[str]

    def __call__(self) -> "Starlette":
        from delineate.serve import ServedModels, make_app
        from delineate.serve.running import log_to_stderr

        log_to_stderr()
        models = ServedModels(self.runs, **self.options)
        labels = None
        if self.data is not None:
            from delineate.label import open_labels

            labels = open_labels(self.data, models)
            for note in labels.notes:
                say(note)
        return make_app(models, labels, token=self.token, hosts=self.hosts)


def serve(
    runs: Runs,
    data: Data = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    allow_host: AllowHost = None,
    processes: Processes = 1,
    workers: Workers = None,
    batch_size: BatchSize = None,
    wait: Wait = 5.0,
    queue: Queue = 64,
    max_bytes: MaxBytes = 32 * 2**20,
    max_pixels: MaxPixels = 2**25,
    max_pictures: MaxPictures = 16,
    timeout: Timeout = 60.0,
    precision: Precision = "fp32",
    optimise: Optimise = False,
    weights: Weights = "best",
    device: Device = "auto",
) -> None:
    """Serve runs and exports over HTTP, with a page to see and correct what they find.

    `POST /v2/models/NAME/predict` takes a picture's bytes, and answers as `predict --json` does; `/docs` has all that
    can be asked. SIGTERM lets the server finish what it took; SIGHUP loads the runs again, while they are used. Where
    the address is not this machine's alone, clients need a token.
    """
    named = named_runs(runs)
    if data is not None and processes > 1:
        raise InputError("processes: corrections of --data are kept by one process; leave it out")
    try:
        from delineate.serve.limits import Limits
        from delineate.serve.running import run_server, token_for
    except ImportError as error:
        raise InputError(f"{error.name}: it is not installed; pip install 'delineate[serve]'") from error
    limits = Limits(num_bytes=max_bytes, num_pixels=max_pixels, num_pictures=max_pictures, seconds=timeout, queue=queue)
    options: dict[str, Any] = {"limits": limits, "workers": workers, "batch_size": batch_size, "wait": wait / 1000}
    form: Literal["auto"] | None = "auto" if optimise else None
    options |= {"device": device, "weights": weights, "precision": precision, "optimise": form}
    for name, run in named.items():
        for line in taken_from(run, weights, override="a request's min_score"):
            say(f"{name}: {line}")
    secret = token_for(host, token)
    run_server(
        Serving(runs=named, options=options, data=data, token=secret, hosts=tuple(allow_host or ())),
        host=host,
        port=port,
        processes=processes,
        seconds=timeout,
        announce=lambda address: announce(address, secret, named),
    )


def announce(address: str, token: str | None, names: Mapping[str, Path]) -> None:
    """Say where the page is, and what is served."""
    say(f"{', '.join(names)} at {address}/{'' if token is None else f'?token={token}'}; Ctrl-C ends it")


def named_runs(runs: Sequence[str]) -> dict[str, Path]:
    """Name each run by what is said before '=', or by its folder; raises `InputError` for one that is not there."""
    from delineate.artefact import is_export
    from delineate.io.runs import find_checkpoint

    named: dict[str, Path] = {}
    for text in runs:
        name, _, path = text.rpartition("=") if not Path(text).exists() else ("", "", text)
        run = Path(path)
        if not is_export(run):
            find_checkpoint(run)
        folder = run.resolve().parent if run.is_file() else run.resolve()
        name = name or folder.name
        if name in named:
            raise InputError(f"{name}: two runs have this name; give one another, such as {name}-2={path}")
        named[name] = run
    return named
