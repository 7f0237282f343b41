"""The fields of each table's rows, one comment a field: the one home of a row's shape.

The store adds `id`. A row also has every other attribute of its request that `openapi.yaml` lets
in: only those that the code reads or writes are here. `NotRequired` are fields that some rows lack:
those of earlier versions, or those that have not come so far. Times are aware and in UTC.

`cast(TuneRow, row)` lets mypy check what is read. The ids of a tune's ancestry are explained in
`objects/lineage.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NotRequired, TypedDict


class Created(TypedDict):
    """What every object of the API has."""

    created_at: datetime
    updated_at: datetime  # of the last change that the wire shows


class Placed(Created):
    """What tunes, prompts and packs have."""

    origin: str | None  # scheme and host of the request that made it; None: the gallery's


class Titled(TypedDict):
    """What a request gives for a pack or a workspace, at least."""

    title: str


class Untimed(TypedDict):
    """When work on an object began and ended. Only `domain/lifecycle.py` writes it."""

    started_training_at: datetime | None  # of a prompt: when its generation began
    trained_at: datetime | None  # of a prompt: when it finished or failed


# -- tunes -----------------------------------------------------------------------------------------
class TuneNulls(TypedDict):
    """Attributes that are null unless a request gives them."""

    callback: str | None  # the URL that is called once the tune is trained
    base_tune_id: int | None  # the tune that the request named as the base
    steps: int | None  # of training
    expires_at: datetime | None  # when its storage ends; None: not trained yet, or the gallery's


class TuneAttributes(TypedDict):
    """Attributes that are stored as a request gives them."""

    title: str  # creation is idempotent by it
    name: str  # the class of the subject: woman, man, cat, ...
    face_crop: NotRequired[bool | None]  # crop the pictures to faces
    training_face_correct: NotRequired[bool | None]  # correct faces in the pictures
    preset: NotRequired[str | None]  # a set of training parameters
    characteristics: NotRequired[Mapping[str, str] | None]  # fill `{{...}}` in prompts' texts


class AnyTuneRow(Placed, Untimed, TuneNulls, TuneAttributes):
    """Every tune. The gallery's have no more."""

    branch: str  # the family of the base, such as flux1; the wire may show another for fast
    model_type: str | None  # lora, pti or faceid; None: a checkpoint
    token: str | None  # stands for the subject in texts
    state: str  # domain/lifecycle.py
    eta: datetime  # when training is expected to end
    auto_extend: bool  # storage is extended, not ended
    is_api: bool  # created through the API
    home_base_id: int  # the checkpoint that an adapter's prompts are made on
    image_keys: Sequence[str]  # files of the training pictures


class NewTuneRow(AnyTuneRow):
    """An account's tune as it is inserted."""

    workspace_id: int | None  # None: the personal scope
    root_base_id: NotRequired[int]  # the gallery's tune at the root of its ancestry
    backend: NotRequired[str]  # the name of the backend that trains it


class TuneRow(NewTuneRow):
    """An account's tune."""

    image_names: NotRequired[Sequence[str]]  # file names of the pictures, in the order of the keys
    caption_keys: NotRequired[Sequence[str]]  # files of the captions
    caption_names: NotRequired[Sequence[str]]  # file names of the captions
    ckpt_key: NotRequired[str | None]  # the file of its weights; None: erased
    more_ckpt_keys: NotRequired[Sequence[str] | None]  # further files of its weights
    training: NotRequired[Mapping[str, Any] | None]  # the backend's report, under /_emulator/
    failure: NotRequired[str]  # why training failed, under /_emulator/


# -- prompts ---------------------------------------------------------------------------------------
class PromptNulls(TypedDict):
    """Attributes that the wire shows as null unless they are given."""

    callback: str | None  # the URL that is called once the prompt has ended
    base_pack_id: int | None  # the pack that it was made from
    pack_id: int | None  # the pack whose template it is
    order_id: int | None  # the order of a pack with several tunes in each picture
    orig_prompt_id: int | None  # the prompt or template that it is a copy of
    user_error: str | None  # why it failed
    cfg_scale: float | None  # guidance scale, from 0 to 15
    steps: int | None  # of sampling, at most 50
    seed: int | None  # None: derived from its id
    style: str | None
    w: int | None  # width in pixels
    h: int | None  # height in pixels
    controlnet_conditioning_scale: float | None  # from 0 to 1
    denoising_strength: float | None  # from 0 to 1
    aspect_ratio: str | None  # such as 3:4
    resolution: str | None  # 1K, 2K or 4K


class PromptDefaults(TypedDict):
    """Attributes that have a default on the wire."""

    num_images: int  # from 1 to 8
    ar: str  # aspect ratio of the service's older form: 1:1, portrait, 16:9, landscape
    super_resolution: bool  # four times the width and the height
    controlnet_txt2img: bool


class PromptAttributes(PromptDefaults):
    """Attributes that are stored as a request gives them, but for the next two."""

    text: str  # with a token of the tune that it was posted under
    tune_id: int  # the base that it is made on, which the wire shows
    prompt_expansion: NotRequired[bool]
    negative_prompt: NotRequired[str | None]  # what the pictures shall not show
    video_model: NotRequired[str | None]  # makes the prompt a video
    video_prompt: NotRequired[str | None]  # the text of the video
    video_duration: NotRequired[int | None]  # seconds
    video_audio: NotRequired[bool]  # the video has sound
    theme: NotRequired[str | None]  # the idea that it is a variation of


class Brief(TypedDict):
    """A tune as prompts show it."""

    id: int
    title: str


class AnyPromptRow(Placed, Untimed):
    """What every prompt has besides its attributes, the gallery's templates included."""

    state: str  # domain/lifecycle.py
    branch: str  # that of its base; fast when any of its tunes is
    home_tune_id: int  # the tune that it was posted under
    image_keys: Sequence[str]  # files of its pictures or videos
    files: Mapping[str, Any]  # its inputs: a key by name; `image_references` has a list of them


class TemplateAttributes(PromptAttributes):
    """What `gallery.yaml` gives a template."""

    class_name: str  # the class of its subject
    aspect_ratio: NotRequired[str]


class TemplateRow(AnyPromptRow, TemplateAttributes):
    """A template of one of the gallery's packs."""

    pack_id: int


class NewPromptRow(AnyPromptRow, PromptAttributes, PromptNulls):
    """An account's prompt as it is inserted."""

    workspace_id: int | None  # None: the personal scope
    class_name: NotRequired[str]  # the class of its subject; "" when it has none
    tune: Brief  # its base
    tunes: Sequence[Brief]  # the tunes that its text names
    is_api: bool  # created through the API
    liked: bool
    prompt_likes_count: int  # its own like, and those of its copies
    backend: NotRequired[str]  # the name of the backend that generates it


class PromptRow(NewPromptRow):
    """An account's prompt."""

    like_counted_for: NotRequired[int | None]  # the original whose count its like raised


# -- packs -----------------------------------------------------------------------------------------
class PackWithoutSlug(Placed, Titled):
    """Every pack, but for its slug, which may need its id."""

    subtitle: str | None
    base_tune_id: int | None  # what tunes of a run are trained on; None: the branch's default
    model_type: str | None  # of tunes that a run trains
    token: str  # stands for the subject in the templates
    multiplier: int  # the service's price factor
    multiplier_api: int  # the service's price factor for the API
    public_at: datetime | None  # since when anyone may use it
    use_multi: bool  # several tunes in each picture
    classes: Sequence[str]  # the classes that it has templates for


class GalleryPackRow(PackWithoutSlug, Untimed):
    """One of the gallery's packs, which `gallery.yaml` describes."""

    slug: str  # names it in addresses
    multi: bool  # as `use_multi`


class NewPackRow(PackWithoutSlug):
    """An account's pack as it is inserted."""

    workspace_id: int | None  # None: the personal scope


class PackRow(NewPackRow):
    """An account's pack."""

    slug: str  # names it in addresses
    unlisted_at: NotRequired[datetime | None]  # since when lists leave it out: imported states only


class OrderRow(TypedDict):
    """What holds the prompts of a run together when each shows several tunes."""

    tune_ids: Sequence[int]


class RunRow(TypedDict):
    """A run of a pack whose prompts are reported in one callback; deleted once that is recorded."""

    prompts_callback: str  # the URL
    prompt_ids: Sequence[int]


# -- accounts --------------------------------------------------------------------------------------
class NewUserRow(TypedDict):
    """An account as it is inserted: its name needs its id."""

    idempotency: bool | None  # None: as the server's setting
    created_at: NotRequired[datetime]


class UserRow(NewUserRow):
    """An account."""

    name: str
    email: str


class WorkspaceRow(Created, Titled):
    """A workspace of an account."""

    slug: str
    favicon_url: str | None
    landing_page_html: str | None
    brief: str | None


class SettingRow(TypedDict):
    """What was switched while the server ran: one row, with id 1."""

    idempotency: bool  # of accounts that have none of their own


# -- callbacks -------------------------------------------------------------------------------------
class CallbackFields(TypedDict):
    """What a callback says, and where it is sent."""

    object: str  # table of the object that it is about
    object_id: int
    url: str
    body: Any  # JSON; None once a body of more than 100,000 bytes has been sent
    at: datetime  # when it became due
    fault: NotRequired[str]  # the fault that was applied to it
    redelivery_of: NotRequired[int]  # the id of the delivery that it repeats


class DeliveryResult(TypedDict):
    """What became of a callback."""

    state: str  # recorded, delivered, failed, dropped or unknown
    status: NotRequired[int | None]  # HTTP status of the answer; None: there was none
    error: NotRequired[str | None]  # why it was not delivered
    seconds: NotRequired[float]  # from connecting to the end of the answer


class SentResult(DeliveryResult):
    """What became of a callback that was sent."""

    body: NotRequired[None]  # takes the place of a long body


class DeliveryRow(CallbackFields, DeliveryResult):
    """One callback to one address."""
