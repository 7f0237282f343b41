"""What is particular to requests, and to the user's own mocks of it."""

import io
from collections.abc import Iterator

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from responses import registries
from urllib3.util import Retry, Timeout

from astria_emulator import Astria, mock_astria
from tests.testing.intercept.clients import HEADERS, URL

OTHER = "https://other.example/"
PROMPTS = f"{URL}/tunes/690204/prompts"


def get(url: str) -> requests.Response:
    return requests.get(url, headers=HEADERS)


def stub(mock: responses.RequestsMock) -> None:
    mock.get(f"{URL}/tunes", json=["stub"])
    mock.get(OTHER, json=["other"])


def check() -> None:
    """The user's stubs answer, the emulator the rest of its host, and nobody other hosts."""
    assert get(f"{URL}/tunes").json() == ["stub"]
    assert get(OTHER).json() == ["other"]
    assert get(f"{URL}/packs").status_code == 200
    with pytest.raises(requests.ConnectionError, match="refused by Responses"):
        get("https://nobody.example/")


@pytest.fixture(params=["the default one", "one of the user's own"])
def mock(request: pytest.FixtureRequest) -> responses.RequestsMock:
    if request.param == "the default one":
        return responses.mock
    return responses.RequestsMock(assert_all_requests_are_fired=False)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    names = ("unbound_on_send", "stop")
    before = HTTPAdapter.send, *(getattr(responses.RequestsMock, name) for name in names)
    yield
    assert before == (HTTPAdapter.send, *(getattr(responses.RequestsMock, n) for n in names))


def test_stub_of_a_mock_that_begins_within_wins(mock):
    with mock_astria():
        with mock:
            stub(mock)
            check()
        assert get(f"{URL}/tunes").json() == []


def test_stub_of_a_mock_that_began_before_wins(mock):
    with mock:
        with mock_astria():
            assert get(f"{URL}/tunes").json() == []
            stub(mock)
            check()
        assert get(f"{URL}/tunes").json() == ["stub"]


def test_stub_of_a_mock_that_has_not_begun_counts_for_nothing(mock):
    stub(mock)
    with mock_astria():
        assert get(f"{URL}/tunes").json() == []
    mock.reset()


def test_mock_that_lasts_longer_is_still_there_when_ours_is_left(mock):
    ours = mock_astria()
    ours.__enter__()
    mock.start()
    stub(mock)
    check()
    ours.__exit__(None, None, None)
    assert (get(f"{URL}/tunes").json(), get(OTHER).json()) == (["stub"], ["other"])
    with mock_astria():  # the next one finds its way
        check()
    mock.stop()
    mock.reset()


def test_mock_that_ends_first_does_not_take_ours_with_it(mock):
    mock.start()
    with mock_astria():
        stub(mock)
        check()
        mock.stop()
        mock.reset()
        assert get(f"{URL}/tunes").json() == []


def test_nested_mocks_leave_the_users_alone(mock):
    with mock, mock_astria() as outer, mock_astria() as inner:
        stub(mock)
        check()
    assert (len(outer.requests), len(inner.requests)) == (0, 1)


def test_passthrough_of_the_service_leads_to_the_emulator():
    with mock_astria() as astria, responses.RequestsMock() as mock:
        mock.add_passthru(URL)
        assert get(f"{URL}/tunes").json() == []
        mock.add(responses.PassthroughResponse("GET", f"{URL}/packs"))
        assert get(f"{URL}/packs").status_code == 200
        mock.reset()
    assert len(astria.requests) == 2


def test_registry_in_order_stays_in_order():
    registry = registries.OrderedRegistry
    with mock_astria(), responses.RequestsMock(registry=registry) as mock:
        mock.get(OTHER, json=1)
        mock.get(f"{URL}/tunes", json=2)
        assert get(f"{URL}/packs").status_code == 200
        assert (get(OTHER).json(), get(f"{URL}/tunes").json()) == (1, 2)


def test_stub_counts_its_own_calls_only():
    with mock_astria(), responses.RequestsMock() as mock:
        mock.get(f"{URL}/tunes", json=[])
        for path in ("tunes", "packs", "tunes"):
            get(f"{URL}/{path}")
        mock.assert_call_count(f"{URL}/tunes", 2)
        assert len(mock.calls) == 2


@responses.activate
@mock_astria
def test_decorators_in_one_order():
    stub(responses.mock)
    check()


@mock_astria
@responses.activate
def test_decorators_in_the_other_order():
    stub(responses.mock)
    check()


@responses.activate
def test_decorator_and_the_fixture(astria: Astria):
    stub(responses.mock)
    check()
    assert [entry.path for entry in astria.requests] == ["/packs"]


@pytest.mark.parametrize(
    ("timeout", "is_late"),
    [
        (1, True), ((9, 1), True), (Timeout(read=1), True), (Timeout(total=1), True),
        (None, False), (9, False), ((1, 9), False), ((1, None), False),
        (Timeout(connect=1, read=9), False),
    ],
)  # fmt: skip
def test_every_form_of_a_timeout_is_kept(astria: Astria, timeout, is_late):
    astria.fault("latency", seconds=5)
    if is_late:
        with pytest.raises(requests.ReadTimeout, match=r"api\.astria\.ai: Read timed out"):
            requests.get(f"{URL}/tunes", headers=HEADERS, timeout=timeout)
    else:
        assert requests.get(f"{URL}/tunes", headers=HEADERS, timeout=timeout).ok


def test_body_is_sent_whatever_it_is_read_from(astria: Astria, tmp_path):
    body = b'{"prompt": {"text": "by the sea"}}'
    (tmp_path / "body").write_bytes(body)
    headers = {**HEADERS, "Content-Type": "application/json"}
    with (tmp_path / "body").open("rb") as file:
        for sent in (body, body.decode(), iter([body[:9], body[9:]]), file, io.BytesIO(body)):
            assert requests.post(PROMPTS, data=sent, headers=headers).status_code == 201


def test_body_that_is_cut_can_be_read_until_then(astria: Astria):
    astria.fault("cut-body")
    with requests.get(f"{URL}/tunes", headers=HEADERS, stream=True) as got:
        parts = got.iter_content(1)
        assert next(parts) == b"["
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(parts)


def test_retries_that_are_spent_end_as_on_the_wire(astria: Astria):
    with requests.Session() as session:
        retry = Retry(total=2, status_forcelist=[500], backoff_factor=0)
        session.mount("https://", HTTPAdapter(max_retries=retry))
        astria.fault("server-error", operation="list_tunes", times=3)
        with pytest.raises(requests.exceptions.RetryError, match="too many 500"):
            session.get(f"{URL}/tunes", headers=HEADERS)
        astria.fault("latency", seconds=5, times=3)
        with pytest.raises(requests.ConnectionError, match="Max retries exceeded"):
            session.get(f"{URL}/tunes", headers=HEADERS, timeout=1)
    assert len(astria.requests) == 6


def test_what_was_sent_is_not_kept(astria: Astria):
    from astria_emulator.testing.intercept.requests_door import _door

    for _ in range(3):
        get(f"{URL}/tunes")
    emulators = _door._emulators
    assert len(emulators.calls) == emulators.registered()[0].call_count == 0


def test_proxy_is_not_asked(astria: Astria):
    proxies = {"https": "http://127.0.0.1:9"}
    assert requests.get(f"{URL}/tunes", headers=HEADERS, proxies=proxies).ok
