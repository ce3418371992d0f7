"""``python -m dtorch.utils.collect_env``: what a bug report needs; the same as ``python -m dtorch``."""

from dtorch.__config__ import show


def get_pretty_env_info() -> str:
    """What is installed and what this machine offers."""
    return show()


def main() -> None:
    """Print it."""
    print(get_pretty_env_info(), end="")


if __name__ == "__main__":
    main()
