"""``python -m dtorch``: what is installed and what this machine offers, for a bug report."""

from __future__ import annotations

import argparse

from dtorch.__config__ import show


def main() -> None:
    argparse.ArgumentParser(prog="python -m dtorch", description=__doc__).parse_args()
    print(show(), end="")


if __name__ == "__main__":
    main()
