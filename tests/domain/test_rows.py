"""Every row that the API makes has the fields that `domain/rows.py` gives its table."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from astria_emulator.control.row_checks import ROWS, fields_of
from astria_emulator.domain import rows
from astria_emulator.storage.store import Row
from tests.conftest import Api, Receiver

# A table -> its rows: an account's or, of tables without accounts, all; and the gallery's.
TYPES: Mapping[str, tuple[type, ...]] = {
    "tune": (rows.TuneRow, rows.AnyTuneRow),
    "prompt": (rows.PromptRow, rows.TemplateRow),
    "pack": (rows.PackRow, rows.GalleryPackRow),
    "order": (rows.OrderRow,),
    "run": (rows.RunRow,),
    "workspace": (rows.WorkspaceRow,),
    "user": (rows.UserRow,),
    "setting": (rows.SettingRow,),
    "delivery": (rows.DeliveryRow,),
}
# A table -> the component of openapi.yaml with a request's attributes. All of them are stored.
ATTRIBUTES = {"tune": "TuneFields", "prompt": "PromptFields"}
ONLY_IMPORTED = {"unlisted_at"}
BRANCHES = ("fast", "sd15", "sdxl1", "flux1")
MODEL_TYPES = (None, "lora", "pti", "faceid")
OPTIONS = {
    "preset": "flux-lora-fast",
    "characteristics": {"eye_color": "blue"},
    "face_crop": True,
    "training_face_correct": True,
}
VIDEO = {
    "video_model": "seedance2_fast_720p",
    "video_prompt": "waves",
    "video_duration": 5,
    "negative_prompt": "rain",
}


def type_of(row: Row) -> type:
    types = TYPES[row.table]
    return types[-1] if row.owner is None else types[0]


def make_objects(api: Api, callback: str) -> None:
    """Objects of every kind, their work not done yet."""
    for branch in BRANCHES:
        for model_type in MODEL_TYPES:
            kind = {"branch": branch, "model_type": model_type}
            api.tune(title=f"{branch} {model_type}", callback=f"{callback}/tune", **kind, **OPTIONS)
    faces = [tune["id"] for tune in api.get("/tunes?limit=100") if tune["model_type"] == "faceid"]
    assert api.client.post("/_emulator/faults", json={"fault": "training-fails", "nth": [2]}).json
    first = api.prompt(690204, text="a", callback=f"{callback}/prompt")
    api.prompt(3618064, text="b", **VIDEO)
    api.post(f"/prompts/{first['id']}/duplicate", {"prompt": {"text": "c"}})
    run = {"tune_ids": faces[:2], "prompts_callback": f"{callback}/run"}
    api.post("/p/3100/tunes", {"tune": run})
    theme = {"theme": "Ski trip", "tune_ids": faces[:1]}
    assert api.call("POST", "/themes", json={"theme": theme}).status_code < 300
    assert api.call("POST", f"/prompts/{first['id']}/likes").status_code < 300
    api.post("/packs", {"pack": {"title": "Pack"}})
    api.post("/workspaces", {"workspace": {"title": "Place"}})
    api.client.patch("/_emulator/settings", json={"idempotency": True})


@pytest.fixture
def all_rows(make_app: Callable[..., Any], receiver: Receiver) -> Mapping[type, Sequence[Row]]:
    """Rows of every kind: before their work is done, and after it."""
    app = make_app(train_seconds=60, prompt_seconds=60)
    api = Api(app.test_client())
    make_objects(api, receiver.url)
    before = app.services.store.rows()
    api.client.post("/_emulator/faults", json={"fault": "callback-dropped", "object": "prompt"})
    api.finish()
    assert api.client.post("/_emulator/callbacks/1/redeliver").status_code == 201
    found = defaultdict(list)
    for row in (*before, *app.services.store.rows()):
        if row.table in TYPES:
            found[type_of(row)].append(row)
    app.services.callbacks.wait(10)
    return found


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, as far down as a row's own values go."""
    if hint is Any:
        return True
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return any(fits(value, one) for one in get_args(hint))
    if kind is float:
        kind = (int, float)
    elif is_typeddict(kind):
        kind = dict
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def test_every_table_has_rows_of_each_of_its_types(all_rows: Mapping[type, Sequence[Row]]) -> None:
    assert set(all_rows) == {kind for types in TYPES.values() for kind in types}


def test_rows_have_the_fields_of_their_type(
    make_app: Callable[..., Any], all_rows: Mapping[type, Sequence[Row]]
) -> None:
    contract = make_app().services.contract
    for kind, found in all_rows.items():
        fields: Mapping[str, Any] = get_type_hints(kind)
        for row in found:
            names = row.data.keys() - {"id"}
            assert kind.__required_keys__ - names == set(), row  # type: ignore[attr-defined]
            component = {"$ref": f"#/components/schemas/{ATTRIBUTES.get(row.table, 'Id')}"}
            assert names - fields.keys() - contract.property_names(component) == set(), row
            wrong = {name for name in names & fields.keys() if not fits(row[name], fields[name])}
            assert wrong == set(), row


def test_every_field_is_in_some_row(all_rows: Mapping[type, Sequence[Row]]) -> None:
    for kind, *_ in TYPES.values():
        written = {name for row in all_rows[kind] for name in row}
        assert get_type_hints(kind).keys() - written - ONLY_IMPORTED == set(), kind


def test_times_are_aware(all_rows: Mapping[type, Sequence[Row]]) -> None:
    values = [value for found in all_rows.values() for row in found for value in row.data.values()]
    times = [value for value in values if isinstance(value, datetime)]
    assert times
    assert all(time.utcoffset() is not None for time in times)


@pytest.mark.parametrize("table", TYPES)
def test_imported_row_is_checked_by_fields_that_rows_have(table: str) -> None:
    assert fields_of(ROWS[table]).keys() <= get_type_hints(TYPES[table][0]).keys()
