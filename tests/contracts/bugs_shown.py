"""Planted bugs of what is answered, and the properties that each turns red."""

from itertools import count

from planting import Bug, answers, shown, without

TUNE, TUNES, PROMPT = r"/tunes/\d+", "/tunes", r"(/tunes/\d+)?/prompts/\d+"
PROMPTS, COPY = r"(/tunes/\d+)?/prompts", r"/prompts/\d+/duplicate"
ANY_PROMPT = rf"{PROMPTS}|{PROMPT}|{COPY}"
FILE, RUN = r"/[0-9a-z]{28}", r"/p/[\w-]+/tunes"
TICK = count()

SHOWN = (
    Bug(
        "tune-is-trained-as-it-is-made",
        shown(TUNES, lambda t: {"trained_at": t["created_at"]}, method="POST"),
        "lifecycle::new_tune_has_begun_nothing",
    ),
    Bug(
        "tune-shows-no-list-of-weights",
        shown(TUNE, lambda t: {"ckpt_urls": []} if "ckpt_urls" in t else {}),
        "lifecycle::tune_hands_out_its_weights_once_trained",
    ),
    Bug(
        "prompt-shows-a-picture-at-once",
        shown(ANY_PROMPT, lambda p: {"images": [p["url"]]}, method="POST"),
        "lifecycle::new_prompt_has_no_pictures",
    ),
    Bug(
        "one-picture-is-missing",
        shown(PROMPT, lambda p: {"images": p["images"][:-1]}),
        "lifecycle::prompt_goes_forward_to_its_pictures",
        "callbacks::ended_prompt_is_told_once_and_reduced",
    ),
    Bug(
        "prompt-begins-as-it-is-made",
        shown(PROMPT, lambda p: {"started_training_at": p["created_at"]}),
        "lifecycle::prompt_waits_for_its_tune",
        "adapters::prompt_waits_for_the_lora_that_it_names",
    ),
    Bug(
        "ended-objects-go-on-changing",
        shown(
            f"{TUNE}|{PROMPT}", lambda _: {"updated_at": f"2990-01-01T00:00:{next(TICK):06.3f}Z"}
        ),
        "lifecycle::what_has_ended_stays_as_it_is",
        "expiry::tune_lasts_until_its_time",
        "deletion::deletion_leaves_everything_else",
    ),
    Bug(
        "ids-descend",
        shown(f"{TUNES}|{PROMPTS}", lambda o: {"id": 10**9 - o["id"]}, method="POST"),
        "lifecycle::ids_ascend",
        "deletion::id_of_a_deleted_object_is_not_given_again",
    ),
    Bug(
        "faceid-tune-is-not-ready",
        shown(TUNES, lambda t: {"trained_at": None, "expires_at": None}, method="POST"),
        "lifecycle::faceid_tune_is_ready_as_it_is_made",
    ),
    Bug(
        "address-is-another-objects",
        shown(".*", lambda o: {"url": f"{o['url'][:-6]}9.json"} if "url" in o else {}),
        "addresses::objects_are_at_their_addresses",
    ),
    Bug(
        "uploads-are-shown-backwards",
        shown(
            f"{TUNES}|{TUNE}|{RUN}",
            lambda t: {"orig_images": t["orig_images"][::-1]},
            method="POST",
        ),
        "addresses::uploads_come_back_byte_for_byte_in_their_order",
        "addresses::pack_run_shows_what_was_uploaded",
        "forms::files_are_written_with_empty_or_with_numbered_brackets",
    ),
    Bug(
        "input-and-mask-are-mixed-up",
        shown(
            PROMPTS,
            lambda p: {"input_image": p["mask_image"], "mask_image": p["input_image"]},
            method="POST",
        ),
        "addresses::inputs_of_a_prompt_come_back_byte_for_byte",
    ),
    Bug(
        "cover-leads-nowhere",
        shown("/p/.*|/gallery/packs", lambda p: {"cover_url": f"{p['cover_url']}0"}),
        "addresses::covers_and_examples_of_packs_are_pictures",
    ),
    Bug(
        "list-lacks-pictures",
        answers("GET", PROMPTS, lambda found: [{**p, "images": []} for p in found]),
        "paging::list_shows_the_objects_as_they_are",
        "values::what_was_sent_is_still_there_at_the_end",
        "adapters::moved_prompt_is_found_under_the_base_under_the_lora_and_alone",
    ),
    Bug(
        "list-lacks-the-token",
        answers("GET", TUNES, lambda found: [{**t, "token": None} for t in found]),
        "values::tune_is_shown_alike_everywhere",
        "values::tune_reads_back",
    ),
    Bug(
        "list-lacks-a-prompt",
        answers("GET", r"/tunes/\d+/prompts", lambda found: found[:1] + found[2:]),
        "lifecycle::nested_prompts_are_made_in_their_order",
        "values::nested_prompts_read_back",
        "model::any_history_leaves_what_the_model_says",
        "themes::theme_makes_ten_different_prompts_for_each_tune",
    ),
    Bug(
        "style-is-lost",
        shown(ANY_PROMPT, lambda _: {"style": None}),
        "values::prompt_reads_back",
    ),
    Bug(
        "video-has-no-duration",
        shown(ANY_PROMPT, lambda _: {"video_duration": None}),
        "values::video_reads_back",
    ),
    Bug(
        "prompt-is-in-no-workspace",
        shown(ANY_PROMPT, lambda _: {"workspace_id": None}),
        "values::objects_that_a_prompt_belongs_to_read_back",
        "values::change_of_a_prompt_changes_that_alone",
    ),
    Bug(
        "subtitle-and-brief-are-lost",
        shown("/packs|/workspaces", lambda o: dict.fromkeys(o.keys() & {"subtitle", "brief"})),
        "values::pack_and_workspace_read_back",
    ),
    Bug(
        "new-tune-has-no-kind",
        shown(TUNES, lambda _: {"model_type": None}, method="POST"),
        "adapters::kind_of_a_tune_follows_from_branch_and_base",
    ),
    Bug(
        "order-is-not-shown",
        shown(PROMPT, lambda _: {"order_id": None}),
        "packs::run_for_several_tunes_shows_all_in_every_prompt",
    ),
    Bug(
        "pack-shows-no-costs",
        shown("/p/[^/]+", lambda _: {"costs": {}}),
        "packs::pack_shows_its_classes_costs_and_templates",
    ),
    Bug(
        "command-line-is-told-to-replace-itself",
        shown("/cli/models", lambda _: {"cli": {"latest_version": "9.9.9"}}),
        "accounts::models_name_tunes_and_no_version_of_the_command_line",
    ),
    Bug(
        "base-model-is-missing",
        answers("GET", "/gallery/tunes", lambda found: [t for t in found if t["id"] != 666678]),
        "accounts::gallery_has_the_documented_base_models",
    ),
    Bug(
        "workspaces-are-oldest-first",
        answers("GET", "/workspaces", lambda found: found[::-1]),
        "accounts::workspaces_are_listed_newest_first",
    ),
    Bug(
        "user-has-no-address",
        answers("GET", "/users", without("email")),
        "generated::generated_case_is_answered_as_the_contract_says",
    ),
    Bug(
        "id-is-a-text",
        shown(".*", lambda o: {"id": str(o["id"])} if "id" in o else {}, method="GET POST PATCH"),
        "generated::generated_sequence_is_answered_as_the_contract_says",
        "witnesses::request_is_answered_as_its_source_says",
    ),
    Bug(
        "inspection-names-another-class",
        answers("POST", "/images/inspect", lambda found: {**found, "name": "person"}),
        "inspection::picture_is_inspected_by_its_address",
    ),
    Bug(
        "inspection-is-a-matter-of-chance",
        answers("POST", "/images/inspect", lambda f: {**f, "selfie": next(TICK) % 2 == 0}),
        "inspection::picture_is_inspected_as_a_file",
    ),
    Bug(
        "things-have-eyes",
        answers("POST", "/images/inspect", lambda found: {**found, "eye_color": "NONE"}),
        "inspection::thing_has_no_traits_of_people",
    ),
    Bug(
        "inspection-blames-nothing",
        answers(
            "POST",
            "/images/inspect",
            lambda found: {"base": next(iter(found.values()))},
            status=422,
        ),
        "inspection::inspection_without_a_class_or_a_picture_is_refused",
    ),
    Bug(
        "gallery-shows-no-prompts",
        answers("GET", "/tunes/1504944/prompts", lambda _: []),
        "adapters::gallery_lists_only_the_callers_own_prompts",
    ),
    Bug(
        "copy-shows-no-tunes",
        shown(COPY, lambda _: {"tunes": []}, method="POST"),
        "duplicate::copy_of_a_moved_prompt_moves_as_well",
    ),
    Bug(
        "blank-callback-stays-blank",
        shown(
            ".*",
            lambda o: {"callback": o["callback"] or ""} if "callback" in o else {},
            method="POST",
        ),
        "callbacks::blank_callback_is_none",
    ),
)
