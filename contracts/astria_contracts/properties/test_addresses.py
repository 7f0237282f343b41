"""Every URL in an answer leads to what its field names."""

from astria_contracts.client.api import Api
from astria_contracts.client.world import World
from astria_contracts.spec.encoding import File, picture

PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}
URL = "https://example.com/a.jpg"
VIDEO = {"video_model": "seedance_480p", "video_prompt": "she turns"}


def is_picture(api: Api, url: str) -> bool:
    """Whether an address gives a picture, and says so."""
    answer = api.fetch(url)
    kinds = {kind for head, kind in PICTURES.items() if answer.content.startswith(head)}
    return answer.status_code == 200 and answer.headers["Content-Type"].partition(";")[0] in kinds


def test_objects_are_at_their_addresses(api: Api, world: World) -> None:
    base = api.target.url
    for shown in (world.tune, world.prompt):
        path = shown["url"].removeprefix(base)
        assert path.startswith("/tunes/"), f"{shown['url']} is not at {base}"
        assert api.get(path) == api.get(path.removesuffix(".json"))
        assert api.get(path)["id"] == shown["id"]


def test_pictures_of_a_prompt_are_pictures(api: Api, world: World) -> None:
    assert all(is_picture(api, url) for url in world.prompt["images"])


def test_pictures_of_a_prompt_differ(api: Api, world: World) -> None:
    contents = {api.fetch(url).content for url in world.prompt["images"]}
    assert len(contents) == len(world.prompt["images"])


def test_uploads_come_back_byte_for_byte_in_their_order(api: Api) -> None:
    files = [picture(number) for number in range(1, 5)]
    made = api.tune(media_type="multipart/form-data", images=files)
    assert [api.fetch(url).content for url in made["orig_images"]] == [f.content for f in files]


def test_inputs_of_a_prompt_come_back_byte_for_byte(api: Api, world: World) -> None:
    sent = {"input_image": picture(5), "mask_image": picture(6)}
    several = [picture(7), picture(8)]
    made = api.prompt(world.tune["id"], media_type="multipart/form-data", num_images=1, **sent)
    shown = {name: api.fetch(made[name]).content for name in sent}
    assert shown == {name: file.content for name, file in sent.items()}
    video = api.prompt(
        world.tune["id"],
        media_type="multipart/form-data",
        image_references=several,
        video_model="seedance2_fast_720p",
        video_prompt="she turns",
    )
    assert [api.fetch(url).content for url in video["image_references"]] == [
        file.content for file in several
    ]


def test_pictures_sent_by_address_are_shown(api: Api, world: World) -> None:
    made = api.prompt(world.tune["id"], input_image_url=URL, mask_image_url=URL, num_images=1)
    tune = api.tune()
    shown = [made["input_image"], made["mask_image"], *tune["orig_images"]]
    assert all(is_picture(api, url) for url in shown)


def test_video_is_a_video(api: Api, world: World) -> None:
    made = api.prompt(world.tune["id"], num_images=1, **VIDEO)
    ended = api.final(f"/prompts/{made['id']}")
    answers = [api.fetch(url) for url in ended["images"]]
    assert [answer.headers["Content-Type"] for answer in answers] == ["video/mp4"]
    assert answers[0].content[4:8] == b"ftyp"


def test_covers_and_examples_of_packs_are_pictures(api: Api, world: World) -> None:
    pack = world.pack
    listed = api.get("/gallery/packs", limit=100)
    urls = [pack["cover_url"], *(found["cover_url"] for found in listed)]
    urls += [
        url for of in pack["prompts_per_class"].values() for one in of for url in one["images"]
    ]
    assert all(is_picture(api, url) for url in dict.fromkeys(urls) if url)


def test_pack_run_shows_what_was_uploaded(api: Api, world: World) -> None:
    files: list[File] = [picture(9), picture(10)]
    run = {"title": api.unique("Run"), "name": "woman", "images": files}
    made = api.ok(
        "POST", f"/p/{world.pack['slug']}/tunes", {"tune": run}, media_type="multipart/form-data"
    )
    assert [api.fetch(url).content for url in made["orig_images"]] == [f.content for f in files]
    assert api.get(made["url"].removeprefix(api.target.url))["title"] == run["title"]
