"""Every assumption that can be switched changes what its row says, and nothing is left out."""

import pytest

from astria_emulator import BackendError, Config
from astria_emulator.domain.assumptions import ASSUMPTIONS
from astria_emulator.errors import SetupError
from astria_emulator.mock.backend import MockBackend

IMAGE = "https://example.com/1.jpg"


class FailsToGenerate(MockBackend):
    def __init__(self, config):
        super().__init__(train_seconds=1, prompt_seconds=1)

    def generate(self, jobs, report):
        raise BackendError("No.")


def trained(api, **attributes):
    tune = api.tune(**attributes)
    api.finish()
    return api.get(f"/tunes/{tune['id']}")


def sent(api, receiver):
    """The fields of a tune's and a prompt's callback."""
    nested = [{"text": "a", "num_images": 1, "callback": receiver.url}]
    api.tune(callback=receiver.url, prompts_attributes=nested)
    api.finish()
    return [set(body[kind]) for _, body in receiver.received for kind in body]


def callback_body(api, receiver):
    fields = sent(api, receiver)
    return ["url" in found and "callback" in found for found in fields]


def prompts_callback(api, receiver):
    tune = {"title": "t", "name": "man", "image_urls": [IMAGE], "prompts_callback": receiver.url}
    api.post("/p/260/tunes", {"tune": tune})
    api.finish()
    [(_, body)] = receiver.received
    prompts = body if isinstance(body, list) else body["prompts"]
    assert len(prompts) == 2
    return type(body)


def failure_callback(api, receiver):
    api.prompt(690204, callback=receiver.url)
    api.finish()
    return [body["prompt"]["images"] for _, body in receiver.received]


def fast_branch(api, receiver):
    return [api.tune()["branch"], api.tune(branch="sd15")["branch"], api.get("/tunes")[1]["branch"]]


def cfg_scale(api, receiver):
    return [api.prompt(690204, cfg_scale=3)["cfg_scale"], api.prompt(690204)["cfg_scale"]]


def delete_status(api, receiver):
    tune, prompts = api.tune()["id"], [api.prompt(690204)["id"] for _ in range(2)]
    paths = [f"/tunes/{tune}", f"/prompts/{prompts[0]}", f"/tunes/690204/prompts/{prompts[1]}"]
    answers = [api.call("DELETE", path) for path in paths]
    assert api.get("/prompts") == []
    return [(answer.status_code, bool(answer.data)) for answer in answers]


def repeat_status(api, receiver):
    api.client.patch("/_emulator/settings", json={"idempotency": True})
    tune = {"title": "t", "name": "man", "image_urls": [IMAGE]}
    calls = [("/tunes", {"tune": tune}), ("/tunes/690204/prompts", {"prompt": {"text": "a"}})]
    return [
        [api.call("POST", path, json=body).status_code for _ in range(2)] for path, body in calls
    ]


def adapter_prompts(api, receiver):
    kinds = [
        {"branch": "flux1"},
        {"branch": "sdxl1"},
        {"branch": "sd15", "model_type": "faceid"},
        {},
    ]
    answers = []
    for kind in kinds:
        body = {"prompt": {"text": "a"}}
        answer = api.call("POST", f"/tunes/{api.tune(**kind)['id']}/prompts", json=body)
        answers.append(answer.json if answer.status_code == 422 else answer.status_code)
    return answers


def refusal(kind):
    return {"tune": [f"model_type={kind} is not supported. Use a checkpoint instead"]}


def flux_weights(api, receiver):
    tune = trained(api, branch="flux1")
    if tune["ckpt_url"]:
        assert api.client.get(tune["ckpt_url"]).status_code == 200
    return [bool(tune["ckpt_url"]), bool(trained(api, branch="sdxl1")["ckpt_url"])]


def minimum_images(api, receiver):
    answers = []
    for kind in ({}, {"model_type": "faceid"}):
        for count in (0, 1, 3, 4):
            tune = {"title": "t", "name": "man", "image_urls": [IMAGE] * count, **kind}
            answer = api.call("POST", "/tunes", json={"tune": tune})
            answers.append(answer.json.get("images", answer.status_code))
    return answers


ONE, FOUR = (["must contain at least one image"], ["must contain at least 4 images"])


def class_names(api, receiver):
    answers = []
    for name in ("man 2", "Zoë", "a-b", "<b>"):
        tune = {"title": "t", "name": name, "image_urls": [IMAGE]}
        answers.append(api.call("POST", "/tunes", json={"tune": tune}).json.get("name"))
    return answers


def keys(api, receiver):
    headers = [{"Authorization": f"Bearer {key}"} for key in ("sd_a", "mine", "")]
    return [api.client.get("/tunes", headers=header).status_code for header in headers]


def fetched(api, receiver):
    url = f"{receiver.url}/1.jpg"  # which answers a POST only
    tune = {"title": "t", "name": "man", "image_urls": [url]}
    return api.call("POST", "/tunes", json={"tune": tune}).json.get("image_urls")


# name -> (what to look at, what it is by the first choice, by the second)
SWITCHES = {
    "callback-body": (callback_body, [False, False], [True, True]),
    "prompts-callback": (prompts_callback, list, dict),
    "failure-callback": (failure_callback, [[]], []),
    "fast-branch": (fast_branch, ["fast", "sd15", "fast"], ["sdxl1", "sd15", "sdxl1"]),
    "cfg-scale": (cfg_scale, ["3.0", None], [3, None]),
    "delete-status": (
        delete_status,
        [(200, False), (200, True), (200, True)],
        [(204, False)] * 3,
    ),
    "repeat-status": (repeat_status, [[201, 201]] * 2, [[201, 200]] * 2),
    "adapter-prompts": (
        adapter_prompts,
        [201] * 4,
        [refusal("lora"), refusal("pti"), refusal("faceid"), 201],
    ),
    "flux-weights": (flux_weights, [False, True], [True, True]),
    "minimum-images": (
        minimum_images,
        [ONE, 201, 201, 201] * 2,
        [ONE, FOUR, FOUR, 201, ONE, 201, 201, 201],
    ),
    "class-names": (
        class_names,
        ["man 2", "Zoë", "a-b", "<b>"],
        ["man 2"] + [["only English letters, digits, spaces"]] * 3,
    ),
    "fetching": (fetched, None, ["could not be fetched"]),
    "keys": (keys, [200, 401, 401], [200, 200, 401]),
}


def test_every_assumption_with_a_choice_has_a_test():
    assert SWITCHES.keys() == {row.name for row in ASSUMPTIONS if len(row.choices) > 1}


@pytest.mark.parametrize("choice", [0, 1])
@pytest.mark.parametrize("name", SWITCHES)
def test_assumption_changes_what_its_row_says(make_api, receiver, name, choice):
    look, *expected = SWITCHES[name]
    [row] = [row for row in ASSUMPTIONS if row.name == name]
    settings = {"assume": (f"{name}={row.choices[choice]}",)}
    if name == "failure-callback":
        settings |= {"backend": f"{__name__}:FailsToGenerate", "keys": ("sd_test",)}
    assert look(make_api(**settings), receiver) == expected[choice]


@pytest.mark.parametrize("name", SWITCHES)
def test_first_choice_of_an_assumption_is_the_default(name):
    [row] = [row for row in ASSUMPTIONS if row.name == name]
    assert Config().assumed[name] == row.choices[0]


@pytest.mark.parametrize(
    "given", ["nonsense=1", "cfg-scale=roman", "cfg-scale", "limit=clamp", "delete-status=404"]
)
def test_unknown_assumption_or_choice_is_refused_at_the_start(given):
    with pytest.raises(SetupError) as error:
        Config(assume=(given,))
    assert given.partition("=")[0] in str(error.value)


# -- rows without a choice, as far as no other file looks at them ----------------------------------
def test_missing_characteristic_leaves_nothing(api):
    assert api.prompt(690204, "a {{nothing}}b")["text"] == "a b"


def test_nothing_is_charged(api):
    tune = api.tune()
    assert (tune["cost_mc"], api.prompt(tune["id"])["cost_mc"]) == (0, 0)
    balance = api.get("/users")["usd_balance_mc"]
    api.finish()
    assert api.get("/users")["usd_balance_mc"] == balance
