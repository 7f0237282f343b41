"""What the tests of packs share."""

PACK = {
    "id", "base_tune_id", "user_id", "slug", "title", "token", "created_at", "updated_at",
    "multiplier", "multiplier_api", "model_type", "public_at", "cost_mc_hash", "subtitle",
    "main_class_name", "costs", "cover_url",
}  # fmt: skip
WOMAN = [18771572, 18757251]
NEW = {"title": "Jane", "name": "woman", "image_urls": ["https://example.com/1.jpg"]}


def run(api, pack, **tune):
    return api.call("POST", f"/p/{pack}/tunes", json={"tune": tune})
