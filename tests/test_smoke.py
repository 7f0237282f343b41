def test_tune_is_trained_with_its_prompts(api):
    tune = api.tune(prompts_attributes=[{"text": "ohwx woman", "num_images": 2}])
    api.finish()
    assert api.get(f"/tunes/{tune['id']}")["trained_at"]
    assert len(api.get(f"/tunes/{tune['id']}/prompts")[0]["images"]) == 2
