"""A drawn video is written frame by frame, and is whole or not there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional as F

from delineate.io.files import written_beside

TICKS = 90_000
"""Times are counted in so many parts of a second, as they are in MPEG."""

Write = Callable[[UInt8[Tensor, "3 h w"], float], None]
"""Takes a frame and the seconds from the first one."""


@contextmanager
def video_file(path: Path, rate: float) -> Iterator[Write]:
    """Write an MP4 file of H.264, which browsers play; all frames have the size of the first one.

    Frames keep their times, so that a video of changing rate stays one; `rate` is the usual one.
    """
    import av

    with written_beside(path) as beside, av.open(str(beside), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=Fraction(rate).limit_denominator(1001))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        last = -1

        def write(image: UInt8[Tensor, "3 h w"], seconds: float) -> None:
            nonlocal last
            height, width = image.shape[-2:]
            if last < 0:
                stream.width, stream.height = width + width % 2, height + height % 2  # what halves its colours is even
            even = F.pad(image[None].float(), (0, width % 2, 0, height % 2), mode="replicate")[0].byte()
            frame = av.VideoFrame.from_ndarray(even.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            last = frame.pts = max(round(seconds * TICKS), last + 1)
            frame.time_base = Fraction(1, TICKS)
            container.mux(stream.encode(frame))

        yield write
        if last >= 0:
            container.mux(stream.encode())
