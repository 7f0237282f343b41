"""Every client reaches the emulator, and sees what it would see of a network that fails."""

import time

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from astria_emulator import Astria
from tests import PATIENCE_SECONDS
from tests.testing.intercept.clients import HEADERS, PICTURE, TUNE, URL, WOMAN, Client


def test_json_reaches_the_emulator(astria: Astria, client: Client):
    made = client.post("/tunes", json=TUNE)
    assert made.status == 201
    assert made.json["url"].startswith(URL)
    assert client.get("/tunes").json[0]["id"] == made.json["id"]
    assert [tune.id for tune in astria.tunes] == [made.json["id"]]


def test_files_reach_the_emulator(astria: Astria, client: Client):
    fields = {f"tune[{name}]": value for name, value in WOMAN.items()}
    picture = requests.get(finished_picture(astria)).content
    files = {"tune[images][]": ("me.jpg", picture, "image/jpeg")}
    made = client.post("/tunes", data=fields, files=files)
    assert made.status == 201, made.content
    [kept] = made.json["orig_images"]
    assert client.get(kept).content == picture
    sent = astria.requests[-2].body["tune"]
    assert sent["images"] == [
        {"file": "me.jpg", "content_type": "image/jpeg", "bytes": len(picture)}
    ]


def finished_picture(astria: Astria) -> str:
    body = {"prompt": {"text": "a cat", "num_images": 1}}
    requests.post(f"{URL}/tunes/690204/prompts", json=body, headers=HEADERS)
    astria.finish()
    return astria.prompts[0].images[0]


def test_picture_is_fetched_from_its_address(astria: Astria, client: Client):
    got = client.get(finished_picture(astria))
    assert (got.status, got.headers["Content-Type"]) == (200, "image/jpeg")
    assert got.content.startswith(PICTURE[:3])


def test_refusal_is_told_as_on_the_wire(astria: Astria, client: Client):
    got = client.post("/tunes", json={"tune": {"title": "Jane"}})
    assert (got.status, got.json["name"]) == (422, ["can't be blank"])
    assert "name can't be blank" in astria.requests[-1].explanation
    got = client.send("GET", f"{URL}/tunes", headers={"Authorization": "Bearer wrong"})
    assert (got.status, got.content) == (401, b"HTTP Token: Access denied.\n")


def test_query_is_kept(astria: Astria, client: Client):
    client.get("/tunes?limit=2&title=a%20b&x[]=1&x[]=2")
    query = {"limit": "2", "title": "a b", "x": ["1", "2"]}
    assert astria.requests[-1].query == query


def test_connection_that_is_reset_is_the_clients_own_error(astria: Astria, client: Client):
    astria.fault("connection-reset", operation="create_tune", nth=1)
    with pytest.raises(client.reset):
        client.post("/tunes", json=TUNE)
    assert len(astria.tunes) == 1
    assert client.post("/tunes", json=TUNE).status == 201


def test_late_answer_is_the_clients_own_error_and_the_work_is_done(astria: Astria, client: Client):
    seconds = 2 * PATIENCE_SECONDS
    astria.fault("latency", operation="create_tune", seconds=seconds, times=1)
    before = astria.now
    with pytest.raises(client.late):
        client.post("/tunes", json=TUNE, timeout=PATIENCE_SECONDS)
    assert len(astria.tunes) == 1
    assert (astria.now - before).total_seconds() >= seconds
    assert client.get("/tunes", timeout=PATIENCE_SECONDS).status == 200


def test_answer_within_the_clients_patience_moves_the_clock_only(
    astria: Astria, monkeypatch: pytest.MonkeyPatch
):
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    astria.fault("latency", seconds=30)
    before = astria.now
    assert requests.get(f"{URL}/tunes", headers=HEADERS, timeout=60).status_code == 200
    assert slept == []
    assert (astria.now - before).total_seconds() >= 30


def test_body_that_is_cut_is_the_clients_own_error(astria: Astria, client: Client):
    astria.fault("cut-body", operation="create_tune")
    with pytest.raises(client.cut):
        client.post("/tunes", json=TUNE)
    assert len(astria.tunes) == 1


def test_gateways_page_is_no_json(astria: Astria, client: Client):
    astria.fault("gateway-page")
    got = client.get("/tunes")
    assert (got.status, got.headers["Content-Type"].partition(";")[0]) == (502, "text/html")


def test_retries_of_an_adapter_are_made(astria: Astria):
    astria.fault("rate-limited", operation="list_tunes", nth=[1, 2], retry_after=0)
    astria.fault("connection-reset", operation="list_tunes", nth=3)
    with requests.Session() as session:
        retry = Retry(total=5, status_forcelist=[429], backoff_factor=0)
        session.mount("https://", HTTPAdapter(max_retries=retry))
        assert session.get(f"{URL}/tunes", headers=HEADERS).status_code == 200
    statuses = [entry.status for entry in astria.requests]
    assert statuses == [429, 429, None, 200]


def test_retries_of_an_adapter_come_to_an_end(astria: Astria):
    astria.fault("connection-reset")
    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=2))
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"{URL}/tunes", headers=HEADERS)
    assert len(astria.requests) == 3


def test_body_can_be_streamed(astria: Astria):
    raw = requests.Request("POST", f"{URL}/tunes", json=TUNE).prepare().body
    headers = {**HEADERS, "Content-Type": "application/json"}
    parts = (raw[at : at + 7] for at in range(0, len(raw), 7))
    assert requests.post(f"{URL}/tunes", data=parts, headers=headers).status_code == 201


def test_answer_can_be_streamed(astria: Astria):
    with requests.get(finished_picture(astria), stream=True) as got:
        content = b"".join(got.iter_content(1000))
    assert (len(content) > 1000, content[:3]) == (True, PICTURE[:3])


def test_session_that_was_made_before_is_intercepted():
    from astria_emulator import mock_astria

    with requests.Session() as session:
        session.headers.update(HEADERS)
        with mock_astria() as astria:
            assert session.get(f"{URL}/tunes").json() == []
            assert len(astria.requests) == 1
