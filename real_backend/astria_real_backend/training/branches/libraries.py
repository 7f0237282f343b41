"""How the libraries behind the branches behave in a process."""

import diffusers
import transformers


def silence_libraries() -> None:
    """No progress bars and no hints: the backend reports what it loads."""
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
