"""A restorer of faces, for tests."""


def mend(pixels):  # type: ignore[no-untyped-def]
    return pixels
