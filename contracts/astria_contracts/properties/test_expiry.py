"""30 days after its training a tune's files and prompts go; the tune stays to be read."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from astria_contracts.client.api import Api
from astria_contracts.client.listener import Listener
from astria_contracts.spec.document import MULTIPART
from astria_contracts.spec.encoding import picture

pytestmark = pytest.mark.needs("clock", "finish")
TEXT: dict[str, Any] = {"text": "ohwx woman", "num_images": 1}


def old_tune(api: Api, *, days: float, **attributes: Any) -> tuple[Any, Any]:
    """A trained tune and its prompt as they were before so many days went by."""
    images = [picture(1)]
    made = api.tune(media_type=MULTIPART, images=images, prompts_attributes=[TEXT], **attributes)
    tune = api.final(f"/tunes/{made['id']}")
    [prompt] = api.page(f"/tunes/{made['id']}/prompts")
    ended = api.final(f"/prompts/{prompt['id']}")
    api.advance(days=days)
    return tune, ended


def test_expired_tune_stays_and_its_files_and_prompts_go(api: Api) -> None:
    tune, prompt = old_tune(api, days=31)
    shown = api.get(f"/tunes/{tune['id']}")
    assert (shown["title"], shown["trained_at"]) == (tune["title"], tune["trained_at"])
    assert shown["expires_at"] == tune["expires_at"]
    assert (shown["ckpt_url"], shown["ckpt_urls"], shown["orig_images"]) == (None, [], [])
    assert api.ids("/tunes", title=tune["title"]) == [tune["id"]]
    api.refused(404, "GET", f"/prompts/{prompt['id']}")
    assert api.page(f"/tunes/{tune['id']}/prompts") == []
    files = [tune["ckpt_url"], *tune["orig_images"], *prompt["images"]]
    assert [api.fetch(url).status_code for url in files] == [404] * len(files)


def test_prompt_on_an_expired_tune_is_refused(api: Api) -> None:
    tune, _ = old_tune(api, days=31)
    body = {"prompt": TEXT}
    expected = {"base": [f"Tune {tune['id']} has expired."]}
    assert api.refused(422, "POST", f"/tunes/{tune['id']}/prompts", body).json() == expected
    by_body = {"prompt": {**TEXT, "tune_id": tune["id"]}}
    assert api.refused(422, "POST", "/prompts", by_body).json() == expected
    assert api.page(f"/tunes/{tune['id']}/prompts") == []
    sample = {"tune": api.tune_attributes(base_tune_id=tune["id"])}
    assert api.refused(422, "POST", "/tunes", sample).json() == {"base_tune_id": ["must exist"]}


def test_text_that_names_an_expired_tune_is_refused(api: Api, world: Any) -> None:
    tune, _ = old_tune(api, days=31)
    body = {"prompt": {**TEXT, "text": f"<lora:{tune['id']}:1> ohwx woman"}}
    answer = api.refused(422, "POST", f"/tunes/{world.tune['id']}/prompts", body)
    assert answer.json() == {"base": [f"Tune {tune['id']} has expired."]}


def test_tune_lasts_until_its_time(api: Api) -> None:
    tune, prompt = old_tune(api, days=29.9)
    assert api.get(f"/tunes/{tune['id']}") == tune
    assert api.get(f"/prompts/{prompt['id']}") == prompt
    assert api.fetch(tune["ckpt_url"]).status_code == 200
    api.prompt(tune["id"], **TEXT)


def test_auto_extend_keeps_a_tune_for_30_days_more_and_more(api: Api) -> None:
    tune, prompt = old_tune(api, days=31, auto_extend=True)
    for months in (2, 3):
        shown = api.get(f"/tunes/{tune['id']}")
        kept = datetime.fromisoformat(shown["expires_at"])
        assert kept - datetime.fromisoformat(tune["trained_at"]) == timedelta(days=30 * months)
        assert shown["orig_images"] == tune["orig_images"]
        api.advance(days=30)
    assert api.get(f"/prompts/{prompt['id']}") == prompt
    api.ok("PATCH", f"/tunes/{tune['id']}", {"tune": {"auto_extend": False}})
    api.advance(days=31)
    api.refused(404, "GET", f"/prompts/{prompt['id']}")


@pytest.mark.needs("callbacks")
def test_expiry_calls_nobody(api: Api, listener: Listener) -> None:
    at = api.unique("callback").replace(" ", "-")
    old_tune(api, days=31, callback=listener.url(at))
    api.finish()
    assert len(listener.wait(at)) == 1


def test_expired_tune_can_be_deleted(api: Api) -> None:
    tune, _ = old_tune(api, days=31)
    api.ok("DELETE", f"/tunes/{tune['id']}")
    api.refused(404, "GET", f"/tunes/{tune['id']}")
