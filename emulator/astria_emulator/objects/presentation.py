"""Rows as the wire shows them.

The contract's schemas pick the fields; this module adds those that are not stored.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from astria_emulator.domain.rows import AnyTuneRow, PackRow, PromptRow, UserRow
from astria_emulator.objects.media import MEDIA
from astria_emulator.objects.removal import weight_keys
from astria_emulator.services import Services
from astria_emulator.storage.store import Row

PRICE_MC = 0  # thousandths of a cent; nothing is charged here
ALLOWANCE_MC = 100_000_000


def url(services: Services, row: Row, path: str, origin: str) -> str:
    """Return an address that the caller can fetch.

    It begins with the configured public URL, or with the host that the object was created through.
    Gallery objects have no such host: theirs begins with the caller's `origin`.
    """
    return f"{services.config.public_url.rstrip('/') or row['origin'] or origin}/{path}"


def _urls(services: Services, row: Row, keys: Iterable[str], origin: str) -> list[str]:
    return [url(services, row, key, origin) for key in keys]


def tune(services: Services, row: Row, origin: str = "") -> dict[str, Any]:
    fields = cast(AnyTuneRow, row)
    weights = _urls(services, row, weight_keys(row), origin)
    branch = fields["branch"]
    return {
        "args": None,
        "cost_mc": PRICE_MC,
        **row.data,
        "face_crop": bool(fields.get("face_crop")),
        "training_face_correct": bool(fields.get("training_face_correct")),
        "branch": "sdxl1"
        if branch == "fast" and services.assumed("fast-branch") == "sdxl1"
        else branch,
        "ckpt_url": weights[0] if weights else None,
        "ckpt_urls": weights,
        "url": url(services, row, f"tunes/{row.id}.json", origin),
        "orig_images": _urls(services, row, fields["image_keys"], origin),
    }


def prompt(services: Services, row: Row, origin: str = "") -> dict[str, Any]:
    fields = cast(PromptRow, row)
    files = fields["files"]
    shown = {
        "cost_mc": PRICE_MC,
        **row.data,
        "url": url(services, row, f"tunes/{fields['tune_id']}/prompts/{row.id}.json", origin),
        "images": _urls(services, row, fields["image_keys"], origin),
        "negative_prompt": fields.get("negative_prompt") or "",
        "cfg_scale": cfg_scale(fields.get("cfg_scale"), services.assumed("cfg-scale")),
        "image_references": _urls(services, row, files.get("image_references", ()), origin),
        **{
            name: url(services, row, files[name], origin) if name in files else None
            for name in MEDIA
        },
    }
    if row["state"] == "generating":
        elapsed = (services.clock.now() - row["started_training_at"]).total_seconds()
        expected = services.backend_for(row["branch"]).prompt_seconds(row)
        shown |= {
            "progress_timing_seconds": expected,
            "progress_elapsed_seconds": round(elapsed, 3),
        }
    return shown


def cfg_scale(value: float | None, form: str) -> str | float | None:
    """Return a decimal as Rails writes it, a string with at least one decimal: `"3.0"`, `"7.25"`.

    form: "number" keeps it a number.
    """
    return value if value is None or form == "number" else str(float(value))


def pack(services: Services, row: Row, templates: Iterable[Row], origin: str) -> dict[str, Any]:
    """Return a pack with costs and pictures by class. `templates`: newest first."""
    fields = cast(PackRow, row)
    templates = list(templates)
    classes: dict[str, list[Row]] = {name: [] for name in fields["classes"]}
    for template in templates:
        classes.setdefault(template["class_name"], []).append(template)
    costs = {
        name: {
            "cost": PRICE_MC // 1000,
            "cost_mc": PRICE_MC,
            "num_images": sum(t["num_images"] for t in members),
        }
        for name, members in classes.items()
    }
    pictures = {t.id: _urls(services, t, t["image_keys"], origin) for t in templates}
    return {
        "logo": None,
        "unlisted_at": None,
        **row.data,
        "user_id": row.owner or 1,
        "main_class_name": next(iter(classes), None),
        "costs": costs,
        "cost_mc_hash": {name: cost["cost_mc"] for name, cost in costs.items()},
        "cover_url": next((urls[0] for urls in pictures.values() if urls), None),
        "prompts_per_class": {
            name: [{"id": t.id, "images": pictures[t.id]} for t in members]
            for name, members in classes.items()
        },
        "template_prompts": [
            {"id": t.id, "cost_mc": PRICE_MC, "text": t["text"]} for t in templates
        ],
    }


def user(row: Row) -> dict[str, Any]:
    fields = cast(UserRow, row)
    purse = {"id": row.id, "name": fields["name"], "usd_balance_mc": ALLOWANCE_MC}
    fixed = {"auto_extend_tunes": False, "top_off_amount": None, "purchased_plugin_at": None}
    return {**purse, "email": fields["email"], **fixed, "payer": {**purse, "self": True}}


def callback_body(services: Services, kind: str, shown: Mapping[str, Any]) -> Any:
    """Return an object wrapped as `{kind: ...}`, with its callback schema's fields.

    With all fields where callback-body is assumed to be "full".
    """
    full = services.assumed("callback-body") == "full"
    name = kind.capitalize() if full else f"{kind.capitalize()}Callback"
    schema = services.contract.object_class({"$ref": f"#/components/schemas/{name}"})()
    return {kind: schema.dump(shown)} if full else schema.dump({kind: shown})
