"""RealBackend between the API and an executor: requests in, tasks out, and every way to end."""

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from patience import PATIENCE, eventually, is_finished
from PIL import Image
from scripted import CURRENT, ScriptedExecutor, fake_model, is_lost, succeeds

from astria_emulator import Config, create_app
from astria_emulator.errors import Unavailable
from astria_real_backend.workers.executor import Done, Event, Failed, Progress, Task

KEY = "sd_test"


def png(colour: str = "teal", size: tuple[int, int] = (80, 64)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


class Api:
    """A client of a server whose backend plays the test's script."""

    def __init__(self, url: str, app: Any, executor: ScriptedExecutor):
        self.url, self.app, self.executor = url, app, executor
        self.closed = False

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {KEY}"}
        return requests.request(method, self.url + path, headers=headers, timeout=PATIENCE, **more)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def tune(self, *, files: Any = None, **given: Any) -> Any:
        """An sd15 LoRA of two pictures, unless told otherwise."""
        fields = {"title": "Tom", "name": "cat", "branch": "sd15", "model_type": "lora", **given}
        data = {f"tune[{name}]": value for name, value in fields.items() if value is not None}
        files = files or [("a.png", png("teal")), ("b.png", png("plum"))]
        parts = [("tune[images][]", file) for file in files]
        answer = self.call("POST", "/tunes", data=data, files=parts)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def prompt(self, tune_id: int, text: str = "photo of sks cat", **given: Any) -> Any:
        body = {"prompt": {"text": text, "num_images": 1, **given}}
        answer = self.call("POST", f"/tunes/{tune_id}/prompts", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def finish(self) -> None:
        eventually(lambda: is_finished(lambda method, path: self.call(method, path).json()))

    def close(self) -> None:
        """Stop, once."""
        if not self.closed:
            self.closed = True
            self.app.close()

    def inside(self, tune: Any) -> Any:
        return self.get(f"/_emulator/tunes/{tune['id']}")


@pytest.fixture
def make_api(serve: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Serves with a scripted executor; `options` are the backend's."""
    made = []

    def make(executor: ScriptedExecutor | None = None, *options: str, **settings: Any) -> Api:
        model = tmp_path / "model"
        if not model.exists():
            fake_model(model)
        models = tmp_path / "models.toml"
        models.write_text(
            f'[[base]]\ntune_id = 690204\nsource = "{model}"\npreset = "toy"\nside = 64\n'
        )
        CURRENT.append(executor or ScriptedExecutor())
        given = {"backend": "scripted:make", "keys": (KEY,), "train_seconds": 0, **settings}
        backend_options = (f"models={models}", "devices=cpu", *options)
        app = create_app(Config(backend_options=backend_options, **given))
        made.append(Api(serve(app), app, CURRENT[-1]))
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


def waits(task: Task) -> Iterator[Event | None]:
    """Goes on until it is cancelled."""
    yield Progress({"phase": "training", "step": 1, "steps": 4, "seconds_left": 1000.0})
    while True:
        yield None


# -- what it serves --------------------------------------------------------------------------------
def test_fast_and_branches_that_cannot_be_trained_here_stay_with_the_mock(api: Api) -> None:
    can = api.get("/_emulator/info")["capabilities"]
    expected = {"flux1": "mock", "sd15": "real", "sdxl1": "mock", "fast": "mock"}
    assert (can["backends"], can["real_training"]) == (expected, True)
    tune = api.tune(branch="fast", model_type=None)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert api.executor.tasks == []


def test_a_virtual_clock_is_refused(make_api: Callable[..., Api]) -> None:
    with pytest.raises(Exception, match="training takes real time"):
        make_api(clock="2026-01-01T00:00:00Z")


def test_keys_are_required() -> None:
    with pytest.raises(Exception, match="needs --keys"):
        Config(backend="real")


def test_unknown_options_are_told_all_at_once(make_api: Callable[..., Api]) -> None:
    with pytest.raises(Exception, match="expected NAME=VALUE") as raised:
        make_api(None, "colour=red", "tries=many", "devices=gpu")
    for text in ("'colour=red'", "tries 'many': expected int", "devices 'gpu'"):
        assert text in str(raised.value)


@pytest.mark.parametrize("missing", ["folder", "unknown"])
def test_absent_base_is_refused_as_tune_and_prompt_are_made(
    make_api: Callable[..., Api], tmp_path: Path, missing: str
) -> None:
    api = make_api()
    if missing == "folder":
        (tmp_path / "model" / "model_index.json").unlink()
    base = 690204 if missing == "folder" else 3618064  # a gallery tune of another family
    given = {"title": "a", "name": "cat", "branch": "sd15", "base_tune_id": base}
    answer = api.call(
        "POST", "/tunes", data={f"tune[{name}]": value for name, value in given.items()},
        files=[("tune[images][]", ("a.png", png()))],
    )  # fmt: skip
    assert (answer.status_code, answer.json()) == (422, {"base_tune_id": ["must exist"]})
    assert api.executor.tasks == []


def test_prompt_on_an_absent_base_is_refused(make_api: Callable[..., Api], tmp_path: Path) -> None:
    api = make_api()
    (tmp_path / "model" / "model_index.json").unlink()
    answer = api.call("POST", "/tunes/690204/prompts", json={"prompt": {"text": "a cat"}})
    assert (answer.status_code, answer.json()) == (422, {"tune": ["must exist"]})


# -- requests become tasks -------------------------------------------------------------------------
def test_parameters_of_a_tune_reach_the_training(api: Api) -> None:
    api.tune(name="dog", token="zwx", steps="7", face_crop="true", model_type="pti")
    api.finish()
    [task] = api.executor.tasks
    config = task.config
    told = (config["subject"], config["token"], config["steps"], config["face_crop"])
    assert told == ("dog", "zwx", 7, True)
    assert (config["method"], config["recipe"]["tokens"]) == ("pti", 2)
    assert (config["base"]["side"], config["base"]["preset"]) == (64, "toy")


@pytest.mark.parametrize(
    ("model_type", "method"), [(None, "checkpoint"), ("lora", "lora"), ("pti", "pti")]
)
def test_model_type_chooses_the_method(api: Api, model_type: str | None, method: str) -> None:
    api.tune(model_type=model_type)
    api.finish()
    assert api.executor.tasks[0].config["method"] == method


def test_token_is_by_default_that_of_the_branch(api: Api) -> None:
    api.tune()
    api.finish()
    assert api.executor.tasks[0].config["token"] == "sks"


def test_most_steps_bounds_what_is_asked_for(make_api: Callable[..., Api]) -> None:
    api = make_api(None, "most-steps=3")
    api.tune(steps="50")
    api.finish()
    assert api.executor.tasks[0].config["most_steps"] == 3


def test_pictures_and_captions_are_laid_out_in_their_order_and_by_their_names(api: Api) -> None:
    files = [("tom.png", png("red")), ("TOM.txt", b"a red cat"), ("jo/é.png", png("blue"))]
    tune = api.tune(files=files)
    assert len(tune["orig_images"]) == 2
    api.finish()
    [laid_out] = api.executor.pictures
    assert [*laid_out] == ["tom.png", "jo/é.png", "TOM.txt"]
    assert laid_out["TOM.txt"] == b"a red cat"
    assert laid_out["tom.png"] == png("red")


def test_pictures_given_by_address_are_fetched_as_the_tune_is_made(
    api: Api, serve: Callable[..., str]
) -> None:
    uploaded = api.tune()["orig_images"]
    body = {"title": "b", "name": "cat", "branch": "sd15", "image_urls": uploaded}
    answer = api.call("POST", "/tunes", json={"tune": body})
    assert answer.status_code == 201, answer.text
    api.finish()
    assert [*api.executor.pictures[1].values()] == [png("teal"), png("plum")]
    gone = {**body, "image_urls": ["http://127.0.0.1:1/a.png"]}
    refused = api.call("POST", "/tunes", json={"tune": gone})
    assert (refused.status_code, refused.json()) == (422, {"image_urls": ["could not be fetched"]})


def test_face_correction_goes_through_the_restorer_that_is_named(
    make_api: Callable[..., Api],
) -> None:
    with_one = make_api(None, "restorer=mending:mend")
    with_one.tune(training_face_correct="true")
    with_one.tune()
    with_one.finish()
    first, second = with_one.executor.tasks
    assert (first.config["restorer"], second.config["restorer"]) == ("mending:mend", None)


def test_face_correction_without_a_restorer_fails_with_the_reason(api: Api) -> None:
    tune = api.tune(training_face_correct="true")
    api.finish()
    inside = api.inside(tune)
    assert (inside["state"], api.executor.tasks) == ("failed", [])
    assert "restorer" in inside["failure"]


def test_tune_on_a_tune_waits_for_it_and_gets_its_files(api: Api) -> None:
    held = api.executor
    first = api.tune(model_type=None, title="first")
    on_checkpoint = api.tune(base_tune_id=first["id"], title="second")
    on_adapter = api.tune(base_tune_id=on_checkpoint["id"], title="third")
    api.finish()
    bases = [task.config["base"]["checkpoint"] for task in held.tasks]
    formers = [task.config["former"] for task in held.tasks]
    assert [len(held.tasks), bases[0], formers[0], formers[1]] == [3, None, (), ()]
    assert bases[1] == bases[2] is not None
    assert len(formers[2]) == 1
    assert [task.config["base"]["tune_id"] for task in held.tasks] == [690204] * 3
    assert api.get(f"/tunes/{on_adapter['id']}")["trained_at"]


def test_tune_on_a_tune_that_fails_or_goes_fails_too(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor()
    executor.plays.append(lambda task: iter([Failed("No cat is in it.")]))
    executor.plays.append(waits)
    api = make_api(executor)
    first = api.tune()
    second = api.tune(base_tune_id=first["id"])
    api.finish()
    assert "could not be trained" in api.inside(second)["failure"]
    third = api.tune()
    fourth = api.tune(base_tune_id=third["id"])
    executor.wait_for("start train", 2)
    assert api.call("DELETE", f"/tunes/{third['id']}").status_code == 200
    api.finish()
    assert "was deleted" in api.inside(fourth)["failure"]


def test_prompt_becomes_a_text_with_its_tunes_and_numbers(api: Api) -> None:
    tune = api.tune(model_type="pti")
    asked = {
        "negative_prompt": "dog", "seed": 5, "steps": 12, "cfg_scale": 3.5, "num_images": 3,
        "w": 128, "h": 72, "scheduler": "dpm++2m",
    }  # fmt: skip
    api.prompt(tune["id"], f"<lora:{tune['id']}:0.5> sks cat at sea", **asked)
    api.finish()
    config = api.executor.tasks[1].config
    names = ("negative_prompt", "seed", "steps", "guidance_scale", "pictures", "width", "height")
    assert [config[name] for name in names] == ["dog", 5, 12, 3.5, 3, 128, 72]
    assert (config["prompt"], config["scheduler"]) == ("sks cat at sea", "dpm++2m")
    [adapter] = config["adapters"]
    assert (adapter["tune_id"], adapter["scale"], adapter["token"]) == (tune["id"], 0.5, "sks")
    assert len(adapter["files"]) == 2


def test_picture_has_the_native_size_of_its_base_by_default(api: Api) -> None:
    api.prompt(690204)
    api.finish()
    config = api.executor.tasks[0].config
    assert (config["width"], config["height"]) == (64, 64)


@pytest.mark.parametrize(
    ("asked", "drawn", "shown"),
    [
        ({"w": 128, "h": 128}, (128, 128), None),
        ({"w": 512, "h": 640}, (112, 136), (512, 640)),
        ({"w": 768, "h": 768}, (128, 128), (768, 768)),
        ({"super_resolution": True}, (64, 64), (256, 256)),
    ],
)
def test_picture_that_is_too_large_is_drawn_smaller_and_enlarged(
    api: Api, asked: dict[str, Any], drawn: tuple[int, int], shown: tuple[int, int] | None
) -> None:
    api.prompt(690204, **asked)
    api.finish()
    config = api.executor.tasks[0].config
    assert (config["width"], config["height"]) == drawn
    assert config["output_size"] == shown


def test_prompt_of_a_checkpoint_is_drawn_with_its_file(api: Api) -> None:
    tune = api.tune(model_type=None)
    api.prompt(tune["id"])
    api.finish()
    config = api.executor.tasks[1].config
    assert config["base"]["checkpoint"]
    assert config["adapters"] == ()


@pytest.mark.parametrize(
    "given", [{"controlnet": "pose", "input_image_url": "https://example.com/1.jpg"}]
)
def test_what_cannot_be_drawn_yet_ends_with_a_sentence(api: Api, given: dict[str, Any]) -> None:
    prompt = api.prompt(690204, **given)
    api.finish()
    shown = api.get(f"/prompts/{prompt['id']}")
    assert shown["images"] == []
    assert "cannot draw with controlnet" in shown["user_error"]


# -- every way to end ------------------------------------------------------------------------------
def test_trained_tune_shows_files_report_and_calls_back_once(api: Api, receiver: Any) -> None:
    tune = api.tune(model_type="pti", callback=f"{receiver.url}/hook?id=1", auto_extend="true")
    api.finish()
    shown = api.get(f"/tunes/{tune['id']}")
    assert shown["trained_at"] == shown["eta"]
    assert (len(shown["ckpt_urls"]), shown["ckpt_urls"][0]) == (2, shown["ckpt_url"])
    assert requests.get(shown["ckpt_url"], timeout=PATIENCE).content.startswith(b"\xff\xd8")
    assert [path for path, _ in receiver.received] == ["/hook?id=1"]
    inside = api.inside(tune)
    assert (inside["state"], inside["backend"]) == ("trained", "real")
    assert inside["training"]["steps"] == 4


def test_nested_prompt_is_drawn_after_training_and_its_pictures_are_served(
    api: Api, receiver: Any
) -> None:
    nested = {"prompts_attributes][][text": "sks cat", "prompts_attributes][][num_images": "2"}
    tune = api.tune(**nested)
    api.finish()
    [prompt] = api.get(f"/tunes/{tune['id']}/prompts")
    assert [task.kind for task in api.executor.tasks] == ["train", "generate"]
    contents = {requests.get(url, timeout=PATIENCE).content for url in prompt["images"]}
    assert len(contents) == 2


def test_lost_work_is_done_again_and_told_once(make_api: Callable[..., Api], receiver: Any) -> None:
    executor = ScriptedExecutor()
    executor.plays.extend([is_lost, is_lost])
    api = make_api(executor)
    tune = api.tune(callback=receiver.url)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(executor.tasks) == 3
    assert len({task.folder for task in executor.tasks}) == 1  # where the checkpoint is
    assert len(receiver.received) == 1


def test_work_that_is_lost_again_and_again_fails_with_the_reason(
    make_api: Callable[..., Api], receiver: Any
) -> None:
    executor = ScriptedExecutor(usual=is_lost)
    api = make_api(executor, "tries=2")
    tune = api.tune(callback=receiver.url)
    prompt = api.prompt(tune["id"])
    api.finish()
    inside = api.inside(tune)
    assert (inside["state"], len(executor.tasks)) == ("failed", 2)
    assert "SIGKILL" in inside["failure"]
    assert api.get(f"/tunes/{tune['id']}")["trained_at"] is None
    assert "could not be trained" in api.get(f"/prompts/{prompt['id']}")["user_error"]
    assert receiver.received == []
    assert not executor.tasks[0].folder.exists()


def test_restarts_are_no_tries(make_api: Callable[..., Api], tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    tune: Any = None
    for _ in range(3):
        executor = ScriptedExecutor(usual=waits)
        api = make_api(executor, "tries=2", data=data)
        tune = tune or api.tune()
        executor.wait_for("start train")
        api.close()
    last = ScriptedExecutor()
    last.plays.append(is_lost)
    api = make_api(last, "tries=2", data=data)
    last.wait_for("start train", 2)
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]


def test_worker_that_works_on_when_a_report_fails_is_ended(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the next task would be told of this one."""
    executor = ScriptedExecutor()
    executor.plays.append(waits)
    api = make_api(executor)
    store = api.app.services.store
    report, calls = store.report, []

    def fails_once(job: Any, progress: Any) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable
        return report(job, progress)

    monkeypatch.setattr(store, "report", fails_once)
    tune = api.tune()
    api.finish()
    assert executor.calls.count("kill") == 1
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(executor.tasks) == 2


def test_weights_of_a_tune_that_went_meanwhile_go_too(
    make_api: Callable[..., Api], tmp_path: Path
) -> None:
    may_end = threading.Event()

    def ends_late(task: Task) -> Iterator[Event | None]:
        """It is done before it hears that it shall stop."""
        while not may_end.is_set():
            yield None
        yield from [event for event in succeeds(task) if isinstance(event, Done)]

    executor = ScriptedExecutor()
    executor.plays.append(ends_late)
    api = make_api(executor, f"folder={tmp_path / 'real'}")
    tune = api.tune()
    executor.wait_for("start train")
    assert api.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
    may_end.set()
    api.finish()
    left = [path for path in (tmp_path / "real").rglob("*") if path.is_file()]
    assert [path.name for path in left if path.name != "speeds.json"] == []


def test_training_that_cannot_be_done_fails_at_once(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=lambda task: iter([Failed("None can be used.")]))
    api = make_api(executor)
    tune = api.tune()
    api.finish()
    assert (api.inside(tune)["failure"], len(executor.tasks)) == ("None can be used.", 1)


def test_deletion_while_it_trains_cancels_and_erases(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor()
    executor.plays.append(waits)
    api = make_api(executor)
    tune = api.tune()
    executor.wait_for("start train")
    assert api.call("DELETE", f"/tunes/{tune['id']}").status_code == 200
    executor.wait_for("cancel")
    executor.wait_for("release")
    api.finish()
    assert not executor.tasks[0].folder.exists()
    assert api.get("/_emulator/jobs") == []


def test_training_beyond_its_time_is_ended(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=waits)
    api = make_api(executor, "limit-minutes=0.0001")
    tune = api.tune()
    api.finish()
    assert "kill" in executor.calls
    assert "longer than 0.0001 minutes" in api.inside(tune)["failure"]


def test_stopped_server_goes_on_at_its_next_start(
    make_api: Callable[..., Api], tmp_path: Path, receiver: Any
) -> None:
    first = ScriptedExecutor(usual=waits)
    api = make_api(first, "tries=1", data=str(tmp_path / "data"))
    tune = api.tune(callback=receiver.url)
    first.wait_for("start train")
    api.close()
    assert "drain" in first.calls
    second = ScriptedExecutor()
    again = make_api(second, "tries=1", data=str(tmp_path / "data"))
    second.wait_for("start train")
    again.finish()
    assert second.tasks[0].folder == first.tasks[0].folder
    assert again.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(receiver.received) == 1


def test_progress_shows_in_the_table_of_jobs_and_moves_eta(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=waits)
    api = make_api(executor)
    tune = api.tune()
    executor.wait_for("start train")
    [progress] = eventually(
        lambda: [job["progress"] for job in api.get("/_emulator/jobs") if job["progress"]]
    )
    assert progress["phase"] == "training"
    assert api.get(f"/tunes/{tune['id']}")["eta"] > tune["eta"]
    api.call("DELETE", f"/tunes/{tune['id']}")


def test_prompts_are_drawn_before_the_next_training_begins(make_api: Callable[..., Api]) -> None:
    may_end = threading.Event()

    def until_told(task: Task) -> Iterator[Event | None]:
        while not may_end.is_set():
            yield None
        yield from succeeds(task)

    executor = ScriptedExecutor()
    executor.plays.append(until_told)
    api = make_api(executor)
    api.tune(title="first")
    executor.wait_for("start train")
    api.tune(title="second")
    api.prompt(690204)
    store = api.app.services.store
    wanted = {"train_on_slot", "generate_on_slot"}
    eventually(lambda: wanted <= {job.kind for job in store.jobs() if job.state == "waiting"})
    may_end.set()
    api.finish()
    assert [task.kind for task in executor.tasks] == ["train", "generate", "train"]


def test_progress_is_logged(make_api: Callable[..., Api], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    api = make_api()
    tune = api.tune()
    api.finish()
    assert f"tune {tune['id']}: training, step 1, steps 4, loss 0.5" in caplog.messages


def test_fast_tune_does_not_wait_for_one_that_trains(make_api: Callable[..., Api]) -> None:
    executor = ScriptedExecutor(usual=waits)
    api = make_api(executor)
    slow = api.tune()
    executor.wait_for("start train")
    tune = api.tune(branch="fast", model_type=None)
    assert eventually(lambda: api.get(f"/tunes/{tune['id']}")["trained_at"])
    api.call("DELETE", f"/tunes/{slow['id']}")


def test_deleted_tune_leaves_no_weights(api: Api) -> None:
    tune = api.tune()
    api.finish()
    url = api.get(f"/tunes/{tune['id']}")["ckpt_url"]
    made = [*(api.app.services.backend._folders.folder / "made").iterdir()]
    assert len(made) == 1
    api.call("DELETE", f"/tunes/{tune['id']}")
    assert requests.get(url, timeout=PATIENCE).status_code == 404
    assert [*(api.app.services.backend._folders.folder / "made").iterdir()] == []


def test_done_without_files_is_a_tune_without_weights(make_api: Callable[..., Api]) -> None:
    report = {"seconds": {"training": 1.0}, "seconds_per_step": 0.1}
    executor = ScriptedExecutor(usual=lambda task: iter([Done((), report)]))
    api = make_api(executor)
    tune = api.tune()
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["ckpt_url"] is None
