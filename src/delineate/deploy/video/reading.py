"""A video gives its frames one after another, and nothing of them is kept: an hour takes the memory of a second.

file, camera, stream ──► packets ──► frames ──► turned upright ──► RGB (3, H, W)
                            └─ what cannot be decoded is counted
"""

import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from delineate.data.images import Stream
from delineate.deploy.pipeline import ahead
from delineate.io.sources import STANDARD_INPUT, is_camera
from delineate.values import InputError, counted

if TYPE_CHECKING:
    import av

VideoSource = str | Path | int | Stream
"""A file, a camera's number, an open file, or `-` for standard input."""
AHEAD = 8
"""So many frames are decoded before they are asked for."""
USUAL_RATE = 25.0
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
"""How FFmpeg calls the cameras of a system, and one by its number."""


class Frame(NamedTuple):
    """A frame has its number in the video, counted from 0, the seconds from the first one, and RGB pixels."""

    number: int
    seconds: float
    image: UInt8[Tensor, "3 h w"]


class Video:
    """A video that is open is gone through once; `frames` makes frames ahead of what is asked for.

    `rate` is frames a second, `num_frames` how many the file says there are, 0 where it does not. `num_lost` packets
    could not be decoded so far; the frames after them go on.
    """

    def __init__(self, container: "av.container.InputContainer", name: str) -> None:
        self._container, self.name = container, name
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = float(self._stream.average_rate or USUAL_RATE)
        self.num_frames = self._stream.frames
        self.num_lost = 0

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def frames(self) -> Generator[Frame, None, None]:
        """Give the frames in order, turned upright as the video says.

        Raises `InputError` where there is none.
        """
        number = -1
        first: float | None = None
        with closing(ahead(self._decoded(), AHEAD)) as decoded:
            for number, (time, image) in enumerate(decoded):
                first = time if first is None else first
                seconds = number / self.rate if time is None or first is None else time - first
                yield Frame(number, seconds, image)
        if number < 0:
            raise InputError(f"{self.name}: no frame of this video can be decoded; convert it, or remove it")

    @property
    def lost(self) -> InputError | None:
        """Say what could not be decoded, if something."""
        if not self.num_lost:
            return None
        return InputError(f"{self.name}: {counted(self.num_lost, 'packet')} could not be decoded; their frames lack")

    def _decoded(self) -> Iterator[tuple[float | None, Tensor]]:
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except av.error.InvalidDataError:
                self.num_lost += 1
                continue
            for frame in frames:
                yield frame.time, _upright(frame)


def open_video(source: VideoSource) -> Video:
    """Open a video file, a camera by its number, an open file, or `-`: what comes at standard input.

    A stream is in any form that FFmpeg tells by its beginning: MPEG-TS, Matroska, or JPEGs one behind another. Raises
    `InputError` where it is no video, where there is no such camera, and without PyAV.
    """
    try:
        import av
    except ImportError:
        raise InputError("video: PyAV is not installed; pip install 'delineate[video]'") from None
    path = Path(str(source)) if isinstance(source, str | Path | int) else None
    name = "standard input" if path is None or path == STANDARD_INPUT else str(path)
    what: Any = str(path) if path is not None else source
    options: dict[str, Any] = {}
    if path == STANDARD_INPUT:
        what = sys.stdin.buffer
    elif path is not None and is_camera(path):
        name = f"camera {path}"
        options["format"], device = _camera(name)
        what = device.format(path)
    try:
        container = av.open(what, **options)
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be opened as a video ({reason}); is it one?") from None
    if not container.streams.video:
        container.close()
        raise InputError(f"{name}: there is no video in this file")
    return Video(container, name)


def _camera(name: str) -> tuple[str, str]:
    if sys.platform not in CAMERAS:
        raise InputError(
            f"{name}: cameras have no numbers on {sys.platform}; let FFmpeg read it, and give its output to `-`"
        )
    return CAMERAS[sys.platform]


def _upright(frame: "av.VideoFrame") -> UInt8[Tensor, "3 h w"]:
    pixels = frame.to_ndarray(format="rgb24")
    if frame.rotation % 360:
        pixels = np.rot90(pixels, round(frame.rotation / 90))
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
