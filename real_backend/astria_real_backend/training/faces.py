"""Faces: detection, crops around them, and restoration."""

from collections.abc import Callable, Iterator, Sequence
from math import floor
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]  # (height, width, 3), RGB
Size = tuple[int, int]  # width, height in pixels
Restorer = Callable[[Pixels], Pixels]

SEARCH_SIDE = 480  # px of the copy that is searched, in half a second
MIN_FACE_SHARE = 0.06  # of the shorter side
WINDOW = 24  # px: the side of the cascade's own window
SAME_FACE_IOU = 0.4  # intersection over union of two hits on one face
# Of 100 faces in skimage's lfw_subset 93 gather 8 hits or more, of its 100 other cuttings 2. Brick,
# grass, gravel, cells, coins and a page of text gather 7 at most (scikit-image 0.26).
MIN_HITS = 8
# Of a face's width at each side and of its height above and below: Astria's own margins (its job
# records, v2).
SIDE_MARGIN, VERTICAL_MARGIN = 0.4, 0.5


class Box(NamedTuple):
    """Pixels; right and bottom are just outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        return self.width * self.height

    def with_margins(self) -> "Box":
        """The box of the whole head, which may reach outside the picture."""
        across, down = round(self.width * SIDE_MARGIN), round(self.height * VERTICAL_MARGIN)
        return Box(self.left - across, self.top - down, self.right + across, self.bottom + down)

    def relative_to(self, crop: "Box") -> tuple[float, float, float, float]:
        """The same edges as fractions of a crop, from 0 to 1."""

        def share(edge: int, start: int, length: int) -> float:
            return min(max((edge - start) / length, 0.0), 1.0)

        return (
            share(self.left, crop.left, crop.width),
            share(self.top, crop.top, crop.height),
            share(self.right, crop.left, crop.width),
            share(self.bottom, crop.top, crop.height),
        )


def find_faces(pixels: Pixels) -> list[Box]:
    """Faces seen from the front, largest first, from the brows to the chin.

    By the cascade of local binary patterns that scikit-image has from OpenCV.
    """
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    height, width = pixels.shape[:2]
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    small = Image.fromarray(pixels).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX
    )
    trained = lbp_frontal_face_cascade_filename()
    hits = Cascade(trained).detect_multi_scale(
        np.asarray(small),
        scale_factor=1.1,
        step_ratio=1,
        min_size=(WINDOW, WINDOW),
        max_size=(SEARCH_SIDE, SEARCH_SIDE),
        # Merges none: how it merges depends on the order in which its threads report.
        min_neighbor_number=1,
        intersection_score_threshold=2,
    )
    places = sorted(
        (hit["c"], hit["r"], hit["c"] + hit["width"], hit["r"] + hit["height"]) for hit in hits
    )
    boxes = [
        Box(*np.clip(np.rint(place / scale), 0, (width, height) * 2).astype(int).tolist())
        for place in merge(np.array(places, np.float64).reshape(-1, 4))
    ]
    likely = [box for box in boxes if box.width >= MIN_FACE_SHARE * min(width, height)]
    return sorted(likely, key=lambda box: (-box.area, box))


def merge(hits: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """The mean of each group of hits on one place, the surest first.

    hits: (N, 4): left, top, right, bottom.
    """
    starts = np.maximum(hits[:, None, :2], hits[:, :2])
    ends = np.minimum(hits[:, None, 2:], hits[:, 2:])
    common = np.clip(ends - starts, 0, None).prod(axis=-1)  # (N, N)
    areas = common.diagonal()
    near = common >= SAME_FACE_IOU * (areas[:, None] + areas - common)
    middles = (hits[:, :2] + hits[:, 2:]) / 2
    left = np.ones(len(hits), bool)
    while left.any():
        votes = (near & left).sum(axis=1) * left
        best = near[votes.argmax()] & left
        if best.sum() < MIN_HITS:
            return
        place = hits[best].mean(axis=0)
        yield place
        inside = ((place[:2] <= middles) & (middles <= place[2:])).all(axis=1)
        left &= ~best & ~inside


def cover(size: Size, bucket: Size, face: Box | None) -> Box:
    """The largest crop of a bucket's aspect: in the middle, or moved until the head is inside it.

    Where it cannot hold the head it holds the face, and where that is larger the face's middle.
    """
    width = min(size[0], round(size[1] * bucket[0] / bucket[1]))
    height = min(size[1], round(size[0] * bucket[1] / bucket[0]))
    held = [face.with_margins(), face] if face else []
    left = _place(size[0], width, size[0] / 2, [(box.left, box.right) for box in held])
    top = _place(size[1], height, size[1] / 2, [(box.top, box.bottom) for box in held])
    return Box(left, top, left + width, top + height)


def close_up(size: Size, face: Box, side: int) -> Box:
    """The square around a head, of at least `side` pixels where the picture has them."""
    head = max(face.width * (1 + 2 * SIDE_MARGIN), face.height * (1 + 2 * VERTICAL_MARGIN))
    length = min(max(round(head), side), *size)
    left = _place(size[0], length, (face.left + face.right) / 2, [])
    top = _place(size[1], length, (face.top + face.bottom) / 2, [])
    return Box(left, top, left + length, top + length)


def _place(total: int, length: int, middle: float, held: Sequence[tuple[int, int]]) -> int:
    """Where a stretch begins within `total` that holds what it can, the last one most of all."""
    start = floor(middle - length / 2)
    for first, last in held:
        if last - first > length:
            start = (first + last - length) // 2
        else:
            start = min(max(start, last - length), first)
    return min(max(start, 0), total - length)


def restore_faces(pixels: Pixels, faces: Sequence[Box], restore: Restorer) -> None:
    """Replace each head by what a restorer makes of it."""
    for face in faces:
        head = face.with_margins()
        region = pixels[max(0, head.top) : head.bottom, max(0, head.left) : head.right]
        region[:] = restore(region.copy())


def load_restorer(name: str) -> Restorer:
    """The function that `MODULE:FUNCTION` names: it takes a face's pixels and returns better ones.

    Raises ValueError when there is none; what is returned raises it for pixels of another shape.
    """
    try:
        restorer = resolve_name(name)
    except Exception as error:  # a module may fail with anything while it is imported
        raise ValueError(
            f"restorer {name!r}: expected MODULE:FUNCTION that can be imported ({error})"
        ) from error
    if not callable(restorer):
        kind = type(restorer).__name__
        raise ValueError(f"restorer {name!r}: expected MODULE:FUNCTION, found {kind}")

    def restore(face: Pixels) -> Pixels:
        better = np.asarray(restorer(face))
        if better.shape != face.shape or better.dtype != np.uint8:
            raise ValueError(
                f"restorer {name!r}: expected uint8 of {face.shape}, "
                f"found {better.dtype} of {better.shape}"
            )
        return better

    return restore
