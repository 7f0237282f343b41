"""One request in several encodings."""

from urllib.parse import urlencode

FORM, MULTIPART, JSON = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
)
URLS = ["https://example.com/1.jpg", "https://example.com/2.jpg"]


def fields(value, name):
    """A value as form fields, the way that clients write them."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in fields(item, f"{name}[{key}]")]
    if isinstance(value, list):
        return [pair for item in value for pair in fields(item, f"{name}[]")]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def multipart(pairs):
    """A multipart body with these fields in this order."""
    parts = [
        f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs
    ]
    return "".join([*parts, "--frontier--\r\n"]).encode()


def sent(api, path, kind, pairs):
    """POST fields as a form of this content type."""
    if kind == MULTIPART:
        body, kind = multipart(pairs), f"{MULTIPART}; boundary=frontier"
    else:
        body = urlencode(pairs)
    return api.call("POST", path, data=body, content_type=kind)


BASE = [("tune[title]", "t"), ("tune[name]", "man"), ("tune[branch]", "fast")]
