"""What the tests of tunes share."""

FIELDS = {
    "id", "title", "name", "is_api", "token", "eta", "callback", "trained_at",
    "started_training_at", "expires_at", "created_at", "model_type", "updated_at", "base_tune_id",
    "branch", "args", "steps", "face_crop", "training_face_correct", "ckpt_url", "ckpt_urls", "url",
    "orig_images", "cost_mc",
}  # fmt: skip
GALLERY = (690204, 666678, 1504944, 3618064, 3691308, 4665564)
ONE = ["https://example.com/1.jpg"]


def created(api, **attributes):
    """POST /tunes with exactly these attributes; the response."""
    return api.call("POST", "/tunes", json={"tune": attributes})
