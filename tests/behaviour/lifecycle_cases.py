"""What the tests of the life cycle share."""

from datetime import datetime


def advance(api, **span):
    answer = api.client.post("/_emulator/clock", json=span)
    assert answer.status_code == 200, answer.text
    return answer.json["now"]


def moment(text):
    return datetime.fromisoformat(text)
