import io
import struct
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from delineate.deploy.video import open_video, reading, video_file
from delineate.values import InputError

from .films import SIDE, film, frames, jpegs, left_of, place


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    with open_video(film(tmp_path / "film.mp4", 25)) as video:
        assert (video.rate, video.num_frames) == (10.0, 25)
        found = list(video.frames())
    assert [frame.number for frame in found] == list(range(25))
    assert [frame.seconds for frame in found] == pytest.approx([number / 10 for number in range(25)])
    assert all(frame.image.shape == (3, 64, 96) for frame in found)
    assert all(abs(left_of(frame.image) - place(frame.number)) <= 2 for frame in found)


@pytest.mark.parametrize("form", ["jpegs", "matroska", "mpegts"])
def test_a_stream_is_a_video_or_jpegs(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if form == "jpegs":
        written = jpegs(6)
    else:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=form) as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for image in frames(6):
                pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        written = buffer.getvalue()

    class Pipe(io.RawIOBase):
        """What can be read on alone, as a pipe can."""

        def __init__(self) -> None:
            self.inner = io.BytesIO(written)

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return False

        def readinto(self, buffer: Any) -> int:
            return self.inner.readinto(buffer)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(Pipe())))
    with open_video("-") as video:
        assert video.name == "standard input"
        found = list(video.frames())
    assert len(found) == 6
    assert all(abs(left_of(frame.image) - place(frame.number)) <= 2 for frame in found)


def test_an_open_file_is_read_like_a_path(tmp_path: Path) -> None:
    with film(tmp_path / "film.mp4", 3).open("rb") as file, open_video(file) as video:
        assert len(list(video.frames())) == 3


def test_a_turned_video_is_turned_upright(tmp_path: Path) -> None:
    """Telephones that are held upright write what is shown turned clockwise by 90 degrees."""
    file = film(tmp_path / "film.mp4", 2)
    one, zero = 0x10000, 0
    identity, clockwise = (one, zero, zero, zero, one), (zero, one, zero, -one & 0xFFFFFFFF, zero)
    head, sep, track = file.read_bytes().partition(b"tkhd")
    assert sep
    file.write_bytes(head + sep + track.replace(struct.pack(">5I", *identity), struct.pack(">5I", *clockwise), 1))
    with open_video(file) as video:
        first = next(iter(video.frames())).image
    assert first.shape == (3, 96, 64)
    there = (first[0] > 128).nonzero()
    assert (there.amin(0) - torch.tensor([0, 64 - 20 - SIDE])).abs().max() <= 2, "what was at the left is at the top"


def test_what_cannot_be_decoded_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "film.mkv"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for number, image in enumerate(frames(5)):
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                if number == 2:
                    spoiled = av.Packet(b"\0" * packet.size)
                    spoiled.pts, spoiled.dts, spoiled.time_base = packet.pts, packet.dts, packet.time_base
                    spoiled.stream = packet.stream
                    packet = spoiled
                container.mux(packet)
        container.mux(stream.encode())
    with open_video(file) as video:
        found = list(video.frames())
        assert len(found) == 4
        assert found[2].seconds == pytest.approx(0.3), "what comes after has its own time"
        assert str(video.lost) == f"{file}: 1 packet could not be decoded; their frames lack"


def test_frames_are_decoded_ahead_and_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(reading, "_upright", lambda frame: decoded.append(frame.pts) or torch.zeros(3, 2, 2).byte())
    before = threading.active_count()
    with open_video(film(tmp_path / "film.mp4", 60)) as video:
        going = video.frames()
        for _ in range(3):
            next(going)
        going.close()
        assert 3 <= len(decoded) <= 3 + reading.AHEAD + 2
    assert threading.active_count() == before


def test_what_is_no_video_is_said_in_a_line(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(InputError, match=r"text\.mp4: cannot be opened as a video \(Invalid data"):
        open_video(text)
    with pytest.raises(InputError, match=r"none\.mp4: cannot be opened as a video \(No such file"):
        open_video(tmp_path / "none.mp4")
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 80), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    with pytest.raises(InputError, match=r"sound\.wav: there is no video in this file"):
        open_video(sound)


def test_cameras_are_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    opened: list[tuple[Any, ...]] = []

    def fails(what: str, **options: Any) -> None:
        opened.append((what, options))
        raise av.error.FileNotFoundError(2, "No such device", what)

    monkeypatch.setattr(av, "open", fails)
    with pytest.raises(InputError, match="camera 7: cannot be opened as a video"):
        open_video(7)
    assert opened == [("/dev/video7", {"format": "v4l2"})]
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(InputError, match="camera 7: cameras have no numbers on win32"):
        open_video("7")


def test_a_drawn_video_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "drawn.mp4"

    def stopped() -> None:
        with video_file(file, 10.0) as write:
            write(torch.zeros(3, 8, 8).byte(), 0.0)
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        stopped()
    assert list(file.parent.iterdir()) == []
    with video_file(file, 10.0) as write:
        for seconds in (0.0, 0.1, 0.5):  # the rate changes
            write(torch.full((3, 33, 35), 200).byte(), seconds)
    with open_video(file) as video:
        found = list(video.frames())
    assert [frame.seconds for frame in found] == pytest.approx([0.0, 0.1, 0.5])
    assert found[0].image.shape == (3, 34, 36), "odd sides have one more"
    assert (found[0].image.int() - 200).abs().max() <= 3
