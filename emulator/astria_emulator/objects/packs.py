"""Run a pack in its three modes: train a tune, use tunes that exist, or show several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from astria_emulator.domain.prompt_text import fill, token_for, without_tokens
from astria_emulator.domain.rows import OrderRow, RunRow
from astria_emulator.errors import Invalid, NotFound
from astria_emulator.objects.access import unknown_places, visible
from astria_emulator.objects.media import kept_media
from astria_emulator.objects.prompts import make_prompt, prompt_attributes
from astria_emulator.objects.tunes import make_tune
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import template_ref
from astria_emulator.storage.store import Query, Row

Given = Mapping[str, Any]
TUNE_ATTRIBUTES = (
    *("title", "name", "callback", "preset", "characteristics"),
    *("images", "image_urls"),
)
# A prompt of a pack has these of its own.
NOT_INHERITED = frozenset({"pack_id", "base_pack_id", "callback", "seed", "workspace_id"})
DONE = {"status": 201, "message": "Prompts created"}


def templates_of(services: Services, pack: Row) -> list[Row]:
    """A pack's templates, newest first."""
    return services.store.find("prompt", Query(pack.owner, ref=template_ref(pack.id)))


@dataclass(frozen=True)
class PackRun:
    """One run of a pack; `given` are the attributes of the request."""

    services: Services
    caller: Caller
    pack: Row
    given: Given

    def begin(self) -> Any:
        """Make the tune or the prompts.

        Raises Invalid with what is wrong. To be called within a transaction, which then leaves
        nothing behind.
        """
        overrides = self.given.get("prompt_attributes") or {}
        if unknown := unknown_places(self.services, self.caller, overrides):
            raise Invalid({f"prompt_attributes.{field}": texts for field, texts in unknown.items()})
        templates = self._templates()
        if self.given.get("tune_ids"):
            tunes = [self._tune(id) for id in self.given["tune_ids"]]
            together = self.pack["use_multi"]
            return self._show_all(tunes, templates) if together else self._use(tunes, templates)
        if self.pack["use_multi"]:
            raise Invalid({"tune_ids": ["can't be blank"]})
        return self._train(templates)

    def _templates(self) -> list[Row]:
        """The pack's templates, oldest first, or those that `prompt_ids` names."""
        templates = templates_of(self.services, self.pack)[::-1]
        wanted = self.given.get("prompt_ids")
        if wanted and set(wanted) - {row.id for row in templates}:
            raise Invalid({"prompt_ids": ["must exist"]})
        return [row for row in templates if not wanted or row.id in wanted]

    def _tune(self, tune_id: int) -> Row:
        try:
            return visible(self.services, self.caller, "tune", tune_id)
        except NotFound:
            raise Invalid({"tune_ids": ["must exist"]}) from None

    # -- the modes ---------------------------------------------------------------------------------
    def _train(self, templates: Sequence[Row]) -> Row:
        given = self.given
        blank = [field for field in ("title", "name") if not given.get(field)]
        messages = {field: ["can't be blank"] for field in blank}
        classes = {template["class_name"] for template in templates}
        if "name" not in blank and classes and given["name"] not in classes:
            messages["name"] = ["is not included in the list"]
        if not (given.get("images") or given.get("image_urls")):
            messages["images"] = ["must contain at least one image"]
        if messages:
            raise Invalid(messages)
        attributes = {key: given[key] for key in TUNE_ATTRIBUTES if key in given}
        kind = {key: self.pack[key] for key in ("base_tune_id", "model_type", "token")}
        made = make_tune(self.services, self.caller, {**attributes, **kind})
        if not made.repeated:
            self._use([made.row], templates)
        return made.row

    def _use(self, tunes: Sequence[Row], templates: Sequence[Row]) -> dict[str, Any]:
        """Every template of a tune's class for that tune; all where none is of its class."""
        prompts = []
        for tune in tunes:
            of_class = [row for row in templates if row["class_name"] == tune["name"]]
            for template in of_class or templates:
                prompts.append(self._prompt(tune, template, self._text(template, tune)))
        self._expect(prompts)
        return DONE

    def _show_all(self, tunes: Sequence[Row], templates: Sequence[Row]) -> dict[str, Any]:
        """Every template once with all tunes in it; one order holds the prompts together."""
        order: OrderRow = {"tune_ids": [tune.id for tune in tunes]}
        row = self.services.store.insert("order", self.caller.account, order)
        tokens = [f"{token_for(tune['model_type'], tune.id)} {tune['name']}" for tune in tunes]
        base = self.services.store.get("tune", self.pack["base_tune_id"]) or tunes[0]
        prompts = [
            self._prompt(
                base,
                template,
                " ".join([*tokens, self._text(template, tunes[0])]),
                order_id=row.id,
            )
            for template in templates
        ]
        self._expect(prompts)
        shown = {"id": row.id, **order, "total_cost_mc": 0}
        return {**DONE, "order": shown, "prompt_ids": [prompt.id for prompt in prompts]}

    # -- prompts -----------------------------------------------------------------------------------
    def _prompt(self, tune: Row, template: Row, text: str, **more: Any) -> Row:
        overrides = self.given.get("prompt_attributes") or {}
        kept = prompt_attributes(self.services, template, leave_out=NOT_INHERITED)
        attributes = {**kept, **overrides, "text": text}
        attributes |= kept_media(self.services, template, overrides)
        marks = {"base_pack_id": self.pack.id, "orig_prompt_id": template.id, **more}
        return make_prompt(self.services, self.caller, tune, attributes, **marks).row

    def _text(self, template: Row, tune: Row) -> str:
        """A template's words for a tune.

        Its token stands in place of the pack's, characteristics are filled in, the brief is last.
        """
        text = without_tokens(template["text"])
        if tune.get("token"):
            text = text.replace(self.pack["token"], tune["token"])
        text = fill(text, self.given.get("characteristics") or tune.get("characteristics"))
        return f"{text}, {self.given['brief']}" if self.given.get("brief") else text

    def _expect(self, prompts: Sequence[Row]) -> None:
        """See to it that `prompts_callback` is called when all prompts have ended."""
        url = self.given.get("prompts_callback")
        if url:
            ids = tuple(dict.fromkeys(prompt.id for prompt in prompts))
            run: RunRow = {"prompts_callback": url, "prompt_ids": ids}
            row = self.services.store.insert("run", self.caller.account, run, refs=ids)
            # Prompts that were there already, under idempotency, may have ended.
            self.services.schedule("end_run", row, self.services.clock.now())
