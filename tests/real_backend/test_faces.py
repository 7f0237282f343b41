"""Faces: where they are, what is cut around them, and who mends them."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

np = pytest.importorskip("numpy", reason="needs astria-emulator[real]")
data = pytest.importorskip("skimage.data", reason="needs astria-emulator[real]")

from astria_real_backend.training.faces import (  # noqa: E402
    MIN_HITS,
    Box,
    close_up,
    cover,
    find_faces,
    load_restorer,
    merge,
    restore_faces,
)

PICTURE = (1000, 800)


def enlarged(times: int):
    image = Image.fromarray(data.astronaut())
    return np.asarray(image.resize((512 * times, 512 * times)))


def test_face_is_found() -> None:
    face = find_faces(data.astronaut())[0]
    assert face.left < 224 < face.right
    assert face.top < 110 < face.bottom
    assert 80 < face.width < 140


def test_face_is_found_in_pixels_of_the_whole_picture() -> None:
    face = find_faces(enlarged(3))[0]
    assert face.left < 3 * 224 < face.right
    assert 3 * 80 < face.width < 3 * 140


def test_faces_are_the_same_each_time_and_the_largest_is_first() -> None:
    pixels = np.concatenate([data.astronaut()[:256], data.astronaut()[:256]], axis=1)
    found = find_faces(pixels)
    assert len(found) >= 2
    assert [face.area for face in found] == sorted((face.area for face in found), reverse=True)
    assert all(find_faces(pixels) == found for _ in range(3))


@pytest.mark.parametrize("size", [(300, 400), (32, 128), (1, 1)])
def test_flat_colour_has_no_face(size: tuple[int, int]) -> None:
    assert find_faces(np.full((*size, 3), 128, np.uint8)) == []


@pytest.mark.parametrize("name", ["brick", "coffee", "rocket", "page", "chelsea"])
def test_thing_has_no_face(name: str) -> None:
    pixels = np.asarray(Image.fromarray(getattr(data, name)()).convert("RGB"))
    assert find_faces(pixels) == []


def test_face_that_is_tiny_is_left_out() -> None:
    canvas = Image.new("RGB", (480, 480), "gray")
    canvas.paste(Image.fromarray(data.astronaut()[30:200, 130:320]).resize((44, 40)), (200, 200))
    assert find_faces(np.asarray(canvas)) == []


def test_hits_on_one_place_become_their_mean_and_few_are_no_face() -> None:
    one = [[100 + at % 3 - 1, 100, 200 + at % 3 - 1, 200] for at in range(3 * MIN_HITS)]
    within_it = [[130, 130, 170, 170]] * MIN_HITS
    two = [[300, 300, 400, 400]] * MIN_HITS
    chance = [[600, 600, 700, 700]] * (MIN_HITS - 1)
    found = [place.tolist() for place in merge(np.array(within_it + two + one + chance, float))]
    assert found == [[100, 100, 200, 200], [300, 300, 400, 400]]


def test_no_hits_are_no_faces() -> None:
    assert list(merge(np.empty((0, 4)))) == []


@st.composite
def sizes_and_faces(draw: st.DrawFn) -> tuple[tuple[int, int], Box]:
    width, height = draw(st.integers(32, 5000)), draw(st.integers(32, 5000))
    assume(max(width, height) <= 4 * min(width, height))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    face = Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    return (width, height), face


def holds(outer: Box, inner: Box) -> bool:
    starts = outer.left <= inner.left and outer.top <= inner.top
    return starts and outer.right >= inner.right and outer.bottom >= inner.bottom


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    sizes_and_faces(),
    st.sampled_from([(512, 512), (384, 704), (640, 448), (56, 72), (88, 48)]),
    st.booleans(),
)
def test_cover_has_the_aspect_and_holds_the_face_where_it_fits(
    case: tuple[tuple[int, int], Box], bucket: tuple[int, int], has_face: bool
) -> None:
    size, face = case
    crop = cover(size, bucket, face if has_face else None)
    assert holds(Box(0, 0, *size), crop)
    assert crop.width == size[0] or crop.height == size[1]
    aspect = bucket[0] / bucket[1]
    errors = abs(crop.width - crop.height * aspect), abs(crop.height - crop.width / aspect)
    assert min(errors) <= 0.5
    if has_face:
        assert (crop.left <= face.left and face.right <= crop.right) or face.width > crop.width
        assert (crop.top <= face.top and face.bottom <= crop.bottom) or face.height > crop.height
        if holds(Box(0, 0, crop.width, crop.height), Box(0, 0, face.width, face.height)):
            assert holds(crop, face)


@pytest.mark.parametrize(
    ("face", "top"),
    [
        (None, 500),  # the middle
        (Box(400, 900, 600, 1100), 500),  # inside already
        (Box(400, 300, 600, 500), 200),  # with half of its height above it
        (Box(400, 20, 600, 220), 0),
        (Box(400, 1700, 600, 1900), 1000),
        (Box(0, 100, 1000, 1000), 50),  # no room for the head: as much above as below
    ],
)
def test_cover_keeps_the_head(face: Box | None, top: int) -> None:
    assert cover((1000, 2000), (512, 512), face) == Box(0, top, 1000, top + 1000)


def test_cover_holds_the_middle_of_a_face_that_is_too_large() -> None:
    assert cover((1000, 2000), (512, 512), Box(0, 400, 1000, 1600)).top == 500


@pytest.mark.parametrize(
    ("face", "side", "expected"),
    [
        # 200 * (1 + 2 * 50 %) high; 40 % at the sides are less
        (Box(400, 300, 600, 500), 64, Box(300, 200, 700, 600)),
        # 300 * (1 + 2 * 40 %) wide
        (Box(350, 300, 650, 500), 64, Box(230, 130, 770, 670)),
        (Box(400, 300, 600, 500), 512, Box(244, 144, 756, 656)),  # widened
        (Box(0, 0, 100, 100), 512, Box(0, 0, 512, 512)),  # moved inside
        (Box(900, 700, 1000, 800), 64, Box(800, 600, 1000, 800)),
        (Box(400, 300, 600, 500), 1024, Box(100, 0, 900, 800)),  # no more than there is
    ],
)
def test_close_up_has_margins(face: Box, side: int, expected: Box) -> None:
    assert close_up(PICTURE, face, side) == expected


def test_shares_are_those_of_the_crop() -> None:
    face = Box(100, 100, 200, 300)
    assert face.relative_to(Box(100, 0, 300, 400)) == (0.0, 0.25, 0.5, 0.75)
    assert face.relative_to(Box(150, 200, 250, 400)) == (0.0, 0.0, 0.5, 0.5)


def test_mended_heads_are_put_back() -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)
    seen = []

    def restore(face):
        assert face.flags.c_contiguous
        seen.append(face.shape)
        face += 1
        return face

    restore_faces(pixels, [Box(20, 20, 30, 30), Box(90, 90, 100, 100)], restore)
    assert seen == [(20, 18, 3), (15, 14, 3)]
    assert pixels[15:35, 16:34].all()
    assert pixels[85:, 86:].all()
    assert pixels.sum() == 3 * (20 * 18 + 15 * 14)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("menders")
    monkeypatch.setitem(sys.modules, "menders", made)
    return made


def test_restorer_is_imported(module: ModuleType) -> None:
    module.tools = SimpleNamespace(invert=lambda face: 255 - face)
    face = np.zeros((4, 5, 3), np.uint8)
    assert (load_restorer("menders:tools.invert")(face) == 255).all()


@pytest.mark.parametrize(
    "name",
    ["", "menders", "menders:", ":invert", "menders:other", "absent:invert", ".a:b", "a b:c"],
)
def test_restorer_is_refused_when_it_cannot_be_imported(name: str, module: ModuleType) -> None:
    with pytest.raises(ValueError, match=f"restorer '{name}': expected MODULE:FUNCTION"):
        load_restorer(name)


def test_restorer_is_refused_when_it_is_no_function(module: ModuleType) -> None:
    module.seven = 7
    with pytest.raises(ValueError, match=r"restorer 'menders:seven': .* found int"):
        load_restorer("menders:seven")


@pytest.mark.parametrize(
    "wrong", [lambda face: face[1:], lambda face: face / 255, lambda face: None]
)
def test_restorer_is_refused_when_it_returns_another_shape(module: ModuleType, wrong) -> None:
    module.wrong = wrong
    with pytest.raises(ValueError, match=r"expected uint8 of \(4, 5, 3\), found"):
        load_restorer("menders:wrong")(np.zeros((4, 5, 3), np.uint8))
