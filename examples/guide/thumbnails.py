"""Thumbnails of fifty large photos, a process for each core. It needs Pillow: pip install pillow

    python -m examples.guide.thumbnails

Paths travel, pictures do not: workers read and write the files.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import Executor
from pathlib import Path

from PIL import Image, ImageOps

from examples.guide.processes import beside_a_worker
from taskq import TaskQ

PHOTOS, WIDTH, HEIGHT, THUMBNAIL = 50, 3000, 2000, (320, 320)
app = TaskQ(executor_modules=[__name__])


def take(path: str, number: int) -> str:
    """Write a photo of 6 megapixels, every `number` another one."""
    light, dark = Image.linear_gradient("L"), Image.radial_gradient("L")
    photo = Image.merge("RGB", (light, dark, ImageOps.invert(light))).rotate(7 * number)
    photo.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR).save(path, quality=90)
    return path


def shrink(path: str) -> str:
    """Write a square thumbnail beside the photo at `path`; where it is."""
    small = Path(path).with_suffix(".thumbnail.jpg")
    with Image.open(path) as photo:
        ImageOps.fit(photo, THUMBNAIL, Image.Resampling.LANCZOS).save(small)
    return str(small)


def take_all(executor: Executor, folder: str, photos: int) -> list[str]:
    paths = [str(Path(folder, f"{number}.jpg")) for number in range(photos)]
    return list(executor.map(take, paths, range(photos)))


if __name__ == "__main__":
    with beside_a_worker(app, "examples.guide.thumbnails"), tempfile.TemporaryDirectory() as home:
        with app.executor(pool="cpu") as pool:
            thumbnails = list(pool.map(shrink, take_all(pool, home, PHOTOS)))
        print(f"{len(thumbnails)} thumbnails, each of {Image.open(thumbnails[0]).size}")
