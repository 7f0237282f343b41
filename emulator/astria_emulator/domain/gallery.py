"""Read `gallery.yaml`: gallery tunes, packs and models; insert them into a store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from astria_emulator.domain.picture_sizes import picture_size
from astria_emulator.domain.rows import (
    AnyTuneRow,
    Created,
    GalleryPackRow,
    TemplateAttributes,
    TemplateRow,
    Titled,
    TuneAttributes,
    Untimed,
)
from astria_emulator.spec.yaml_files import load_yaml
from astria_emulator.storage.files import Files
from astria_emulator.storage.refs import slug_ref, template_ref
from astria_emulator.storage.store import Store

# Older than anything that is created.
GALLERY_TIME = datetime(2024, 9, 2, 19, 25, 12, 970000, tzinfo=UTC)
CREATED: Created = {"created_at": GALLERY_TIME, "updated_at": GALLERY_TIME}
TRAINED: Untimed = {"started_training_at": GALLERY_TIME, "trained_at": GALLERY_TIME}


@dataclass(frozen=True)
class VideoModel:
    """The inputs that a video model accepts. `durations`: seconds; None means any."""

    durations: Sequence[int] | None = None
    text: bool = False
    references: bool = False
    audio_reference: bool = False
    audio: bool = False
    motion: bool = False


@dataclass(frozen=True)
class Gallery:
    """The content of `gallery.yaml`."""

    tunes: Sequence[Mapping[str, Any]]
    packs: Sequence[Mapping[str, Any]]
    default_base: Mapping[str, int]
    models: Mapping[str, Mapping[str, Any]]
    default_model: str
    default_video_model: str
    video_models: Sequence[Mapping[str, Any]]

    def video_model(self, name: str) -> VideoModel:
        """Return the first model whose prefix the name has. An unlisted model accepts anything."""
        for row in self.video_models:
            if name.startswith(row["prefix"]):
                abilities = {
                    key: value for key, value in row.items() if key not in ("prefix", "durations")
                }
                return VideoModel(durations=_durations(row.get("durations")), **abilities)
        return VideoModel(text=True, references=True)

    def insert_into(self, store: Store, files: Files) -> None:
        """Insert the gallery into a store, without the rows that it has already."""
        for tune in sorted(self.tunes, key=lambda row: row["id"]):
            fields: AnyTuneRow = {
                **CREATED,
                **TRAINED,
                "eta": GALLERY_TIME,
                "expires_at": None,
                "state": "trained",
                "origin": None,
                "image_keys": [],
                "is_api": False,
                "callback": None,
                "base_tune_id": None,
                "model_type": None,
                "steps": None,
                "auto_extend": True,
                "home_base_id": tune["id"],
                **cast(TuneAttributes, tune),
                "branch": tune["branch"],
                "token": tune["token"],
            }
            if store.get("tune", tune["id"]) is None:
                store.insert("tune", None, fields, id=tune["id"])
        for pack in sorted(self.packs, key=lambda row: row["id"]):
            if store.get("pack", pack["id"]) is None:
                self._insert_pack(pack, store, files)

    def _insert_pack(self, pack: Mapping[str, Any], store: Store, files: Files) -> None:
        shown = {key: value for key, value in pack.items() if key != "templates"}
        classes = list(dict.fromkeys(template["class_name"] for template in pack["templates"]))
        fields: GalleryPackRow = {
            **CREATED,
            **TRAINED,
            "origin": None,
            "multiplier": 10,
            "multiplier_api": 10,
            "public_at": GALLERY_TIME,
            "classes": classes,
            **cast(Titled, shown),
            "slug": pack["slug"],
            "subtitle": pack["subtitle"],
            "base_tune_id": pack["base_tune_id"],
            "model_type": pack["model_type"],
            "token": pack["token"],
            "multi": pack["multi"],
            "use_multi": pack["multi"],
        }
        store.insert("pack", None, fields, id=pack["id"], refs=(slug_ref(pack["slug"]),))
        branch = next(tune["branch"] for tune in self.tunes if tune["id"] == pack["base_tune_id"])
        for template in sorted(pack["templates"], key=lambda row: row["id"]):
            attributes = {
                "num_images": 2,
                "ar": "1:1",
                "super_resolution": False,
                "controlnet_txt2img": False,
                **template,
            }
            width, height = picture_size(attributes, branch)
            recipe = {
                "width": width,
                "height": height,
                "text": template["text"],
                "seed": template["id"],
                "subject": template["class_name"],
                "tune": f"pack {pack['id']} {pack['title']}",
                "index": 0,
            }
            key = files.put(f"template/{template['id']}", "image/jpeg", {"picture": recipe})
            template_fields: TemplateRow = {
                **CREATED,
                **TRAINED,
                "origin": None,
                "state": "finished",
                "image_keys": [key],
                "files": {},
                "pack_id": pack["id"],
                "tune_id": pack["base_tune_id"],
                "home_tune_id": pack["base_tune_id"],
                "branch": branch,
                **cast(TemplateAttributes, attributes),
            }
            store.insert(
                "prompt",
                None,
                template_fields,
                id=template["id"],
                refs=(template_ref(pack["id"]),),
            )


def _durations(row: Mapping[str, Any] | None) -> Sequence[int] | None:
    if row is None:
        return None
    return tuple(row["only"]) if "only" in row else tuple(range(row["from"], row["to"] + 1))


@lru_cache
def load_gallery() -> Gallery:
    """Return the gallery. It is read once per process, and inserted into each store."""
    return Gallery(**load_yaml(Path(__file__).with_name("gallery.yaml")))
