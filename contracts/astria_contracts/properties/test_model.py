"""Any sequence of requests leaves what a small model of the account says."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from astria_contracts.client.api import Api
from astria_contracts.options import CURRENT
from astria_contracts.spec.document import JSON, MULTIPART, URLENCODED

OPTIONS = CURRENT.get()
TITLES = st.sampled_from(["Jane", "Jo & Co", "漢字", "a+b=c"])
TEXTS = st.sampled_from(["ohwx woman", "ohwx woman at sea", "a %41 sky"])
KINDS = st.sampled_from([JSON, URLENCODED, MULTIPART])
SHOWN = ("text", "seed", "num_images", "orig_prompt_id", "liked", "prompt_likes_count", "tune")


class Account(RuleBasedStateMachine):
    """What was made, changed and deleted, beside what the lists show."""

    api: Api
    tunes, prompts = Bundle("tunes"), Bundle("prompts")

    def __init__(self) -> None:
        super().__init__()
        self.word = self.api.unique("Model")
        self.known: dict[int, dict[str, Any]] = {}  # tune -> title and prompts
        self.home: dict[int, int] = {}  # prompt -> tune
        self.likes: dict[int, set[int]] = {}  # prompt -> those whose likes count for it

    # -- the model ---------------------------------------------------------------------------------
    def expect(self, tune: int, made: Any, sent: dict[str, Any], original: int | None) -> None:
        given = {"seed": None, "num_images": 4, **sent, "orig_prompt_id": original}
        self.known[tune]["prompts"][made["id"]] = given
        self.home[made["id"]] = tune
        self.likes[made["id"]] = set()

    def forget(self, prompt: int) -> None:
        del self.known[self.home.pop(prompt)]["prompts"][prompt]

    def shown_prompts(self, tune: int) -> dict[int, dict[str, Any]]:
        known = self.known[tune]
        return {
            id: {
                **sent,
                "liked": id in self.likes[id],
                "prompt_likes_count": len(self.likes[id]),
                "tune": {"id": tune, "title": known["title"]},
            }
            for id, sent in sorted(known["prompts"].items(), reverse=True)
        }

    # -- what is done ------------------------------------------------------------------------------
    @rule(target=tunes, title=TITLES, texts=st.lists(TEXTS, max_size=2), kind=KINDS)
    def create_tune(self, title: str, texts: list[str], kind: str) -> Any:
        nested = [{"text": text} for text in texts]
        title = f"{self.word} {title}"
        more = {"prompts_attributes": nested} if nested else {}
        made = self.api.tune(title=title, media_type=kind, **more)
        self.known[made["id"]] = {"title": title, "prompts": {}}
        found = self.api.get(f"/tunes/{made['id']}/prompts")[::-1]
        for prompt, sent in zip(found, nested, strict=True):
            self.expect(made["id"], prompt, sent, None)
        return made["id"]

    @rule(target=prompts, tune=tunes, text=TEXTS, seed=st.none() | st.integers(0, 9), kind=KINDS)
    def create_prompt(self, tune: int, text: str, seed: int | None, kind: str) -> Any:
        if tune not in self.known:
            self.api.refused(404, "POST", f"/tunes/{tune}/prompts", {"prompt": {"text": text}})
            return multiple()
        sent = {"text": text, "num_images": 1, "seed": seed}
        made = self.api.prompt(tune, media_type=kind, **sent)
        self.expect(tune, made, sent, None)
        return made["id"]

    @rule(target=prompts, prompt=prompts, text=TEXTS)
    def copy_prompt(self, prompt: int, text: str) -> Any:
        path = f"/prompts/{prompt}/duplicate"
        if prompt not in self.home:
            self.api.refused(404, "POST", path)
            return multiple()
        tune = self.home[prompt]
        made = self.api.ok("POST", path, {"prompt": {"text": text}})
        self.expect(tune, made, {**self.known[tune]["prompts"][prompt], "text": text}, prompt)
        return made["id"]

    @rule(prompt=prompts, like=st.booleans())
    def like(self, prompt: int, like: bool) -> None:
        method, path = "POST" if like else "DELETE", f"/prompts/{prompt}/likes"
        if prompt not in self.home:
            self.api.refused(404, method, path)
            return
        self.api.ok(method, path)
        original = self.known[self.home[prompt]]["prompts"][prompt]["orig_prompt_id"]
        for at in {prompt, original} & self.home.keys():  # a copy's like counts for its original
            change = self.likes[at].add if like else self.likes[at].discard
            change(prompt)

    @rule(tune=tunes, title=TITLES)
    def rename(self, tune: int, title: str) -> None:
        body, path = {"tune": {"title": f"{self.word} {title}"}}, f"/tunes/{tune}"
        if tune in self.known:
            self.known[tune]["title"] = self.api.ok("PATCH", path, body)["title"]
        else:
            self.api.refused(404, "PATCH", path, body)

    @rule(prompt=consumes(prompts))
    def delete_prompt(self, prompt: int) -> None:
        if prompt in self.home:
            self.api.ok("DELETE", f"/prompts/{prompt}")
            self.forget(prompt)
        else:
            self.api.refused(404, "DELETE", f"/prompts/{prompt}")

    @rule(tune=tunes)
    def delete_tune(self, tune: int) -> None:
        if tune in self.known:
            self.api.ok("DELETE", f"/tunes/{tune}")
            for prompt in list(self.known[tune]["prompts"]):
                self.forget(prompt)
            del self.known[tune]
        else:
            self.api.refused(404, "DELETE", f"/tunes/{tune}")

    @rule()
    def finish(self) -> None:
        self.api.finish()

    # -- what must be so ---------------------------------------------------------------------------
    @invariant()
    def tunes_are_those_of_the_model(self) -> None:
        shown = {tune["id"]: tune["title"] for tune in self.api.get("/tunes", title=self.word)}
        expected = {id: self.known[id]["title"] for id in sorted(self.known, reverse=True)}
        assert list(shown.items()) == list(expected.items())

    @invariant()
    def prompts_are_those_of_the_model(self) -> None:
        for tune in self.known:
            found = self.api.get(f"/tunes/{tune}/prompts")
            shown = {prompt["id"]: {key: prompt[key] for key in SHOWN} for prompt in found}
            assert list(shown.items()) == list(self.shown_prompts(tune).items())


def test_any_history_leaves_what_the_model_says(api: Api) -> None:
    class Bound(Account):
        pass

    Bound.api = api
    settings = OPTIONS.settings(quick=12, full=150, stateful_step_count=20)
    run_state_machine_as_test(Bound, settings=settings)
