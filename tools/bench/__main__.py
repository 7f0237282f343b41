"""Measure: `make bench`, or `python -m tools.bench [compare|pages|upload|leak|intercept]`.

Every server runs on core 0, and its client on core 1. Prism and Mockoon are the commands `prism`
and `mockoon-cli`, or what PRISM and MOCKOON name; PostgreSQL is at ASTRIA_TEST_POSTGRES, or on this
machine. What is not installed is reported as not measured.
"""

import sys

from tools.bench import compare, intercept, leak, pages, upload

COMMANDS = {
    "compare": compare.main,
    "pages": pages.main,
    "upload": upload.main,
    "leak": leak.main,
    "intercept": intercept.main,
}


def main() -> None:
    for name in sys.argv[1:] or ["compare"]:
        if name not in COMMANDS:
            raise SystemExit(f"bench: {name!r}: expected {', '.join(COMMANDS)}")
        COMMANDS[name]()


if __name__ == "__main__":
    main()
