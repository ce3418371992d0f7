"""Flickr8k and Flickr30k: photographs with five captions each.

Reference: Young et al. 2014, "From image descriptions to visual denotations".
"""

from __future__ import annotations

import glob
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, inside, open_image


class _Captions(HTMLParser):
    """Collects the lists of captions that follow links to photographs in a table."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self._photo: str | None = None
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            link = dict(attrs).get("href") or ""
            self._photo = link.rstrip("/").rpartition("/")[2]
            self.found.setdefault(self._photo, [])
        elif tag == "li":
            self._keep()
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("li", "ul"):
            self._keep()

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def _keep(self) -> None:
        if self._text is not None and self._photo is not None:
            self.found[self._photo].append("".join(self._text).strip())
        self._text = None


class _Flickr(VisionDataset):
    def __init__(
        self, root: Root, ann_file: Root, transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.ann_file = os.path.expanduser(os.fspath(ann_file))
        self.annotations = self._read(Path(self.ann_file))
        self.ids = sorted(self.annotations)

    def _read(self, path: Path) -> dict[str, list[str]]:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The photograph and the list of its captions, transformed."""
        name = self.ids[index]
        return self._transformed(
            open_image(inside(self._directory, name, self.ann_file)), self.annotations[name]
        )

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.ids)


class Flickr8k(_Flickr):
    """Photographs with their captions.

    Args:
        root: directory of the photographs.
        ann_file: the HTML file of captions, which links to the photographs' pages.
    """

    def _read(self, path: Path) -> dict[str, list[str]]:
        parser = _Captions()
        parser.feed(path.read_text(encoding="utf-8"))
        found: dict[str, list[str]] = {}
        for number, captions in parser.found.items():
            # Files are called by the number of the page and a secret that only they have.
            photos = sorted(self._directory.glob(f"{glob.escape(number)}_*.jpg"))
            if photos and captions:
                found[photos[0].name] = captions
        return found


class Flickr30k(_Flickr):
    """Photographs with their captions.

    Args:
        root: directory of the photographs.
        ann_file: the file of captions, with lines ``name.jpg#0<tab>caption``.
    """

    def _read(self, path: Path) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, caption = line.partition("\t")
            found.setdefault(name.rpartition("#")[0], []).append(caption.strip())
        return found
