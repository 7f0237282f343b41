"""Run a pack in its three modes: train a tune, use tunes that exist, or show several at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from astria_emulator.domain.prompt_text import fill, token_for, without_tokens
from astria_emulator.domain.rows import OrderRow, RunRow
from astria_emulator.errors import Invalid, NotFound
from astria_emulator.objects.access import check_references, visible
from astria_emulator.objects.media import copied_media, media_bytes
from astria_emulator.objects.prompts import make_prompt, prompt_attributes
from astria_emulator.objects.tunes import make_tune
from astria_emulator.services import Caller, Services
from astria_emulator.storage.refs import template_ref
from astria_emulator.storage.store import Query, Row

Attributes = Mapping[str, Any]
MOST_PROMPTS = 1000  # of one run
TUNE_ATTRIBUTES = (
    *("title", "name", "callback", "preset", "characteristics"),
    *("images", "image_urls"),
)
# Attributes that a prompt of a pack does not take from its template.
NOT_INHERITED = frozenset({"pack_id", "base_pack_id", "callback", "seed", "workspace_id"})
DONE = {"status": 201, "message": "Prompts created"}


def templates_of(services: Services, pack: Row) -> list[Row]:
    """Return a pack's templates, newest first."""
    return services.store.find("prompt", Query(pack.owner, ref=template_ref(pack.id)))


@dataclass(frozen=True)
class PackRun:
    """One run of a pack; `attributes` are those of the request."""

    services: Services
    caller: Caller
    pack: Row
    attributes: Attributes

    def begin(self) -> Any:
        """Create the tune or the prompts, and return the answer's row or data.

        To be called within a transaction, which undoes everything when this raises.
        Raises Invalid with all that is wrong.
        """
        overrides = self.attributes.get("prompt_attributes") or {}
        if messages := check_references(self.services, self.caller, overrides):
            raise Invalid({f"prompt_attributes.{field}": m for field, m in messages.items()})
        templates = self._templates()
        if self.attributes.get("tune_ids"):
            tunes = [self._tune(id) for id in self.attributes["tune_ids"]]
            multi = self.pack["use_multi"]
            return self._show_all(tunes, templates) if multi else self._use(tunes, templates)
        if self.pack["use_multi"]:
            raise Invalid({"tune_ids": ["can't be blank"]})
        return self._train(templates)

    def _templates(self) -> list[Row]:
        """Return the pack's templates, or those that `prompt_ids` names, oldest first."""
        templates = templates_of(self.services, self.pack)[::-1]
        ids = self.attributes.get("prompt_ids")
        if ids and set(ids) - {row.id for row in templates}:
            raise Invalid({"prompt_ids": ["must exist"]})
        return [row for row in templates if not ids or row.id in ids]

    def _tune(self, tune_id: int) -> Row:
        try:
            return visible(self.services, self.caller, "tune", tune_id)
        except NotFound:
            raise Invalid({"tune_ids": ["must exist"]}) from None

    # -- the modes ---------------------------------------------------------------------------------
    def _train(self, templates: Sequence[Row]) -> Row:
        request = self.attributes
        blank = [field for field in ("title", "name") if not request.get(field)]
        messages = {field: ["can't be blank"] for field in blank}
        classes = {template["class_name"] for template in templates}
        if "name" not in blank and classes and request["name"] not in classes:
            messages["name"] = ["is not included in the list"]
        if not (request.get("images") or request.get("image_urls")):
            messages["images"] = ["must contain at least one image"]
        if messages:
            raise Invalid(messages)
        attributes = {key: request[key] for key in TUNE_ATTRIBUTES if key in request}
        kind = {key: self.pack[key] for key in ("base_tune_id", "model_type", "token")}
        tune = make_tune(self.services, self.caller, {**attributes, **kind})
        if not tune.repeated:
            self._use([tune.row], templates)
        return tune.row

    def _use(self, tunes: Sequence[Row], templates: Sequence[Row]) -> dict[str, Any]:
        """Create each tune's prompts: from templates of its class, or from all where none is."""
        pairs = []
        for tune in tunes:
            same_class = [row for row in templates if row["class_name"] == tune["name"]]
            pairs += [(tune, template) for template in same_class or templates]
        self._check_amount([template for _, template in pairs])
        prompts = [
            self._prompt(tune, template, self._text(template, tune)) for tune, template in pairs
        ]
        self._schedule_callback(prompts)
        return DONE

    def _check_amount(self, templates: Sequence[Row]) -> None:
        """Refuse to make too much of one request. `templates`: one for each prompt to be made.

        Raises Invalid.
        """
        if len(templates) > MOST_PROMPTS:
            raise Invalid({"tune_ids": [f"would make more than {MOST_PROMPTS} prompts"]})
        sizes = {row.id: media_bytes(self.services, row) for row in templates}
        if sum(sizes[row.id] for row in templates) > self.services.config.max_body:
            told = "would copy more bytes of files than a request may have"
            raise Invalid({"tune_ids": [told]})

    def _show_all(self, tunes: Sequence[Row], templates: Sequence[Row]) -> dict[str, Any]:
        """Create one prompt of each template with all tunes in it, joined by one order."""
        self._check_amount(templates)
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
        self._schedule_callback(prompts)
        shown = {"id": row.id, **order, "total_cost_mc": 0}
        return {**DONE, "order": shown, "prompt_ids": [prompt.id for prompt in prompts]}

    # -- prompts -----------------------------------------------------------------------------------
    def _prompt(self, tune: Row, template: Row, text: str, **extra: Any) -> Row:
        overrides = self.attributes.get("prompt_attributes") or {}
        inherited = prompt_attributes(self.services, template, leave_out=NOT_INHERITED)
        attributes = {**inherited, **overrides, "text": text}
        attributes |= copied_media(self.services, template, overrides)
        origin = {"base_pack_id": self.pack.id, "orig_prompt_id": template.id, **extra}
        return make_prompt(self.services, self.caller, tune, attributes, **origin).row

    def _text(self, template: Row, tune: Row) -> str:
        """Return a template's text for a tune.

        The tune's token replaces the pack's, characteristics are filled in, the brief comes last.
        """
        text = without_tokens(template["text"])
        if tune.get("token"):
            text = text.replace(self.pack["token"], tune["token"])
        text = fill(text, self.attributes.get("characteristics") or tune.get("characteristics"))
        return f"{text}, {self.attributes['brief']}" if self.attributes.get("brief") else text

    def _schedule_callback(self, prompts: Sequence[Row]) -> None:
        """Store the run, so that `prompts_callback` is called once all prompts have ended."""
        url = self.attributes.get("prompts_callback")
        if url:
            ids = tuple(dict.fromkeys(prompt.id for prompt in prompts))
            run: RunRow = {"prompts_callback": url, "prompt_ids": ids}
            row = self.services.store.insert("run", self.caller.account, run, refs=ids)
            # Under idempotency these may be earlier prompts, which may have ended.
            self.services.schedule("end_run", row, self.services.clock.now())
