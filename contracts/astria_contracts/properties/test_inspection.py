"""The inspection of a picture answers with the documented values, and keeps nothing."""

from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED
from astria_contracts.spec.encoding import File, picture

pytestmark = pytest.mark.needs("paid")
TRAITS = {"eye_color", "hair_color", "hair_length", "age"}
URL = "https://example.com/1.jpg"


def inspect(api: Api, media_type: str = JSON, **body: Any) -> Any:
    return api.ok("POST", "/images/inspect", body, media_type=media_type)


@pytest.mark.parametrize("kind", [JSON, URLENCODED, MULTIPART])
def test_picture_is_inspected_by_its_address(api: Api, kind: str) -> None:
    found = inspect(api, kind, name="woman", file_url=URL)
    assert found["name"] in ("woman", "")
    assert set(found) >= {*TRAITS, "blurry", "selfie", "low_quality"}


def test_picture_is_inspected_as_a_file(api: Api) -> None:
    found = [inspect(api, MULTIPART, name="man", file=picture(1)) for _ in range(2)]
    assert found[0] == found[1]
    assert set(found[0]) >= TRAITS


def test_thing_has_no_traits_of_people(api: Api) -> None:
    assert TRAITS.isdisjoint(inspect(api, name="cat", file_url=URL))


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        (JSON, {"file_url": URL}, "name"),
        (JSON, {"name": "man"}, "file_url"),
        (MULTIPART, {"name": "man"}, "file"),
        (MULTIPART, {"name": "man", "file": File("1.png", b"no picture")}, "file"),
    ],
)
def test_inspection_without_a_class_or_a_picture_is_refused(
    api: Api, kind: str, body: dict[str, Any], field: str
) -> None:
    errors = api.refused(422, "POST", "/images/inspect", body, media_type=kind).json()
    assert list(errors) == [field]
