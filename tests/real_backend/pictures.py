"""Pictures for tests."""

from dataclasses import replace
from io import BytesIO

from PIL import Image

from astria_real_backend.training.photos import (
    FileReport,
    Options,
    Photo,
    Source,
    prepare,
)

OPTIONS = Options(64, 8, face_crop=False, max_megapixels=1, find_faces=lambda pixels: [])


def written(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(width: int = 64, height: int = 64, colour: str = "teal") -> bytes:
    return written(Image.new("RGB", (width, height), colour))


def prepared(*files: Source, **options: object) -> tuple[list[Photo], list[FileReport]]:
    return prepare(files, replace(OPTIONS, **options))
