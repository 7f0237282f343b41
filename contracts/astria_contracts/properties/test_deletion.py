"""What is deleted is gone with all that was its own, and nothing else is."""

from typing import Any

import pytest

from astria_contracts.client.api import FLUX, Api
from astria_contracts.client.world import World
from astria_contracts.spec.document import MULTIPART
from astria_contracts.spec.encoding import picture

TEXT: dict[str, Any] = {"text": "ohwx woman", "num_images": 1}


def is_gone(api: Api, *paths: str) -> bool:
    return [api.call("GET", path).status_code for path in paths] == [404] * len(paths)


def files_are_gone(api: Api, *urls: str) -> bool:
    return [api.fetch(url).status_code for url in urls] == [404] * len(urls)


def test_deleted_tune_is_gone_with_its_prompts_and_files(api: Api) -> None:
    made = api.tune(media_type=MULTIPART, images=[picture(1)], prompts_attributes=[TEXT])
    tune = api.final(f"/tunes/{made['id']}")
    [nested] = api.page(f"/tunes/{made['id']}/prompts")
    first = api.final(f"/prompts/{nested['id']}")
    late = api.final(f"/prompts/{api.prompt(made['id'], **TEXT)['id']}")
    assert api.ok("DELETE", f"/tunes/{made['id']}") is None
    assert is_gone(api, f"/tunes/{made['id']}", f"/tunes/{made['id']}/prompts")
    assert is_gone(api, *(f"/prompts/{prompt['id']}" for prompt in (first, late)))
    assert is_gone(api, f"/tunes/{made['id']}/prompts/{late['id']}")
    assert api.ids("/tunes", title=made["title"]) == []
    assert {first["id"], late["id"]}.isdisjoint(item["id"] for item in api.get("/prompts"))
    files = [*tune["orig_images"], tune["ckpt_url"], *first["images"], *late["images"]]
    assert files_are_gone(api, *files)
    api.refused(404, "POST", f"/tunes/{made['id']}/prompts", {"prompt": TEXT})


@pytest.mark.parametrize("way", ["/prompts/{id}", "/tunes/{tune_id}/prompts/{id}"])
def test_deleted_prompt_is_gone_with_its_files(api: Api, world: World, way: str) -> None:
    made = api.prompt(world.tune["id"], media_type=MULTIPART, input_image=picture(2), **TEXT)
    ended = api.final(f"/prompts/{made['id']}")
    message = api.ok("DELETE", way.format(**made))
    assert message in (None, {"message": "Prompt successfully deleted"})
    assert is_gone(api, f"/prompts/{made['id']}", f"/tunes/{made['tune_id']}/prompts/{made['id']}")
    assert made["id"] not in api.ids(f"/tunes/{world.tune['id']}/prompts")
    assert made["id"] not in [item["id"] for item in api.get("/prompts")]
    assert files_are_gone(api, ended["input_image"], *ended["images"])


def test_second_deletion_is_not_found(api: Api, world: World) -> None:
    tune, prompt = api.tune(), api.prompt(world.tune["id"], **TEXT)
    paths = [f"/tunes/{tune['id']}", f"/prompts/{prompt['id']}"]
    for path in paths:
        api.ok("DELETE", path)
        api.refused(404, "DELETE", path)
    api.refused(404, "DELETE", f"/tunes/{world.tune['id']}/prompts/{prompt['id']}")
    api.refused(404, "PATCH", paths[0], {"tune": {"title": "back"}})
    api.refused(404, "POST", f"/prompts/{prompt['id']}/likes")
    api.refused(404, "POST", f"/prompts/{prompt['id']}/duplicate")


def test_deletion_leaves_everything_else(api: Api, world: World) -> None:
    kept = [api.tune(prompts_attributes=[TEXT]) for _ in range(2)]
    gone = api.tune(prompts_attributes=[TEXT])
    prompts = [api.prompt(world.tune["id"], **TEXT) for _ in range(3)]
    nested = [prompt for tune in kept for prompt in api.page(f"/tunes/{tune['id']}/prompts")]
    for path in (f"/prompts/{prompt['id']}" for prompt in (*nested, *prompts)):
        api.final(path)
    paths = [f"/tunes/{tune['id']}{end}" for tune in kept for end in ("", "/prompts")]
    paths += [f"/prompts/{prompts[0]['id']}", f"/prompts/{prompts[2]['id']}"]
    before = [api.get(path) for path in paths]
    api.ok("DELETE", f"/tunes/{gone['id']}")
    api.ok("DELETE", f"/prompts/{prompts[1]['id']}")
    api.finish()
    assert [api.get(path) for path in paths] == before
    images = [url for one in (before[4], before[5]) for url in one["images"]]
    assert [api.fetch(url).status_code for url in images] == [200] * len(images)


def test_prompt_is_deleted_under_its_own_tune_only(api: Api, world: World) -> None:
    stranger, made = api.tune(), api.prompt(world.tune["id"], **TEXT)
    path = f"/tunes/{stranger['id']}/prompts/{made['id']}"
    api.refused(404, "DELETE", path)
    api.refused(404, "GET", path)
    api.refused(404, "PATCH", path, {"prompt": {}})
    assert api.get(f"/prompts/{made['id']}")["id"] == made["id"]


@pytest.mark.needs("finish")
@pytest.mark.parametrize("kind", ["tune", "prompt"])
def test_what_is_deleted_at_work_does_not_come_back(api: Api, world: World, kind: str) -> None:
    if kind == "tune":
        made = api.tune(prompts_attributes=[TEXT])
    else:
        made = api.prompt(world.tune["id"], **TEXT)
    path = f"/{kind}s/{made['id']}"
    api.get(path)
    api.ok("DELETE", path)
    api.finish()
    assert is_gone(api, path)
    assert made["id"] not in [item["id"] for item in api.get(f"/{kind}s")]


def test_id_of_a_deleted_object_is_not_given_again(api: Api, world: World) -> None:
    tune, prompt = api.tune(), api.prompt(world.tune["id"], **TEXT)
    api.ok("DELETE", f"/tunes/{tune['id']}")
    api.ok("DELETE", f"/prompts/{prompt['id']}")
    assert api.tune()["id"] > tune["id"]
    assert api.prompt(world.tune["id"], **TEXT)["id"] > prompt["id"]


def test_deleted_lora_takes_only_the_prompts_made_under_it(api: Api) -> None:
    lora = api.lora(prompts_attributes=[TEXT])
    [nested] = api.page(f"/tunes/{lora['id']}/prompts")
    under = api.prompt(lora["id"], **TEXT)
    naming = api.prompt(FLUX, text=f"<lora:{lora['id']}:1> ohwx woman", num_images=1)
    api.final(f"/tunes/{lora['id']}")
    api.ok("DELETE", f"/tunes/{lora['id']}")
    assert is_gone(api, *(f"/prompts/{prompt['id']}" for prompt in (nested, under)))
    assert api.final(f"/prompts/{naming['id']}")["text"] == naming["text"]
    assert naming["id"] in [item["id"] for item in api.get(f"/tunes/{FLUX}/prompts")]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_gallery_cannot_be_changed(api: Api, method: str) -> None:
    body = {"body": {"tune": {"title": "mine"}}} if method == "PATCH" else {}
    before = api.get(f"/tunes/{FLUX}")
    api.refused(404, method, f"/tunes/{FLUX}", **body)
    assert api.get(f"/tunes/{FLUX}") == before
