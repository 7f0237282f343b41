"""What an exported state is made of: the names in each object, and the type of each value."""

from collections.abc import Mapping
from datetime import datetime
from types import GenericAlias

from astria_emulator.domain.lifecycle import UNTIMED
from astria_emulator.objects.prompts import NULLS
from astria_emulator.objects.tunes import NULLS as TUNE_NULLS

Type = type | GenericAlias  # the latter of lists whose items are all of a type
Types = Type | tuple[Type, ...]
NO = type(None)

KEYS, IDS = GenericAlias(list, str), GenericAlias(list, int)

DOCUMENT: Mapping[str, Types] = {
    "seed": int, "clock": (str, NO), "next_ids": dict, "tables": dict, "jobs": list, "files": dict,
}  # fmt: skip
ROW: Mapping[str, Types] = {
    "id": int, "owner": (int, NO), "refs": list, "data": dict, "times": dict,
}  # fmt: skip
JOB: Mapping[str, Types] = {
    "kind": str, "table": str, "target": int, "due": str, "attempt": int, "progress": dict,
}  # fmt: skip
PICTURE: Mapping[str, Types] = {
    "width": int, "height": int, "seed": int, "index": int, "text": str, "subject": str,
    "tune": str,
}  # fmt: skip
# What the rows of a table have at least, by name. Those that are owned are an account's.
OWNED = frozenset({"tune", "prompt", "pack", "workspace", "order", "run"})
MADE: Mapping[str, Types] = {
    "created_at": datetime, "updated_at": datetime, "origin": (str, NO), "workspace_id": (int, NO),
}  # fmt: skip
ROWS: Mapping[str, Mapping[str, Types]] = {
    "tune": {
        **dict.fromkeys((*UNTIMED, *TUNE_NULLS, "is_api"), object),
        **MADE, "title": str, "name": str, "state": str, "branch": str, "home_base_id": int,
        "image_keys": KEYS, "model_type": (str, NO), "token": (str, NO), "eta": datetime,
        "auto_extend": bool,
    },
    "prompt": {
        **dict.fromkeys((*UNTIMED, *NULLS, "is_api"), object),
        **MADE, "text": str, "state": str, "branch": str, "tune_id": int, "home_tune_id": int,
        "tune": dict, "tunes": list, "files": dict, "image_keys": KEYS, "num_images": int,
        "liked": bool, "prompt_likes_count": int, "cfg_scale": (int, float, NO), "ar": str,
        "super_resolution": bool, "controlnet_txt2img": bool,
    },
    "pack": {
        **dict.fromkeys(("base_tune_id", "model_type", "token", "subtitle", "public_at"), object),
        **dict.fromkeys(("multiplier", "multiplier_api"), int),
        **MADE, "title": str, "slug": str, "classes": KEYS, "use_multi": bool,
    },
    "workspace": {"title": str, "slug": str, "created_at": datetime, "updated_at": datetime},
    "order": {"tune_ids": IDS},
    "run": {"prompts_callback": str, "prompt_ids": IDS},
    "user": {"name": str, "email": str, "idempotency": (bool, NO)},
    "delivery": {"object": str, "object_id": int, "url": str, "state": str, "at": datetime},
    "setting": {"idempotency": bool},
}  # fmt: skip
# What need not be there.
EXTRAS: Mapping[str, Types] = {"more_ckpt_keys": (KEYS, NO), "ckpt_key": (str, NO)}
# What is a time wherever it is not null.
TIMES = frozenset({*MADE, *UNTIMED, "eta", "expires_at", "at"} - {"origin", "workspace_id"})
# A kind of work -> the table of its objects.
WORK: Mapping[str, str] = {
    **dict.fromkeys(("start_tune", "train_tune", "train_on_slot", "expire_tune"), "tune"),
    **dict.fromkeys(("start_prompt", "generate_prompt", "generate_on_slot"), "prompt"),
    **dict.fromkeys(("send_callback", "release_callback"), "delivery"),
    "end_run": "run",
}
RECIPES: Mapping[str, Types] = {"picture": dict, "address": str, "clip": str, "weights": dict}
WORDS: Mapping[Type, str] = {
    str: "a string", int: "a whole number", float: "a number", bool: "a boolean", NO: "null",
    list: "an array", dict: "an object", datetime: "a time, under times",
    KEYS: "an array of strings", IDS: "an array of ids",
}  # fmt: skip
