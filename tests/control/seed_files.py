"""Files of seed data."""

WRITTEN = """
- key: sd_local            # whose objects these are
  packs:
    - title: Gifts
  tunes:
    - title: Jane Doe
      name: woman
      branch: fast
      callback: {url}/tune
      image_urls: [https://example.com/1.jpg]
      prompts:
        - text: portrait of ohwx woman in a garden
          num_images: 2
          callback: {url}/prompt
        - {{text: "<lora:5000002:1> ohwx woman", num_images: 1, w: 64, h: 64}}
    - {{title: Style, name: style, branch: flux1, image_urls: ["https://example.com/2.jpg"]}}
- key: sd_other
  tunes:
    - {{title: Cat, name: cat, branch: fast, image_urls: ["https://example.com/3.jpg"]}}
"""
TUNE = {"title": "a", "name": "man", "branch": "fast", "image_urls": ["https://example.com/1.jpg"]}
