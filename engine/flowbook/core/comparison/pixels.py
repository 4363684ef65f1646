"""Which pixels of two pictures differ, where Pillow is installed (it comes with matplotlib)."""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from flowbook.core.comparison.records import Picture, PictureChange, Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 8_000_000
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}


def picture_change(before: Picture | None, after: Picture | None) -> PictureChange | None:
    """How two pictures of different content differ; None if each pixel of them is the same."""
    old = _opened(before) if before is not None else None
    new = _opened(after) if after is not None else None
    if old is None or new is None:
        return PictureChange(before=before, after=after)
    if old.size != new.size:
        sizes = f"{old.width} × {old.height} and {new.width} × {new.height} pixels"
        return PictureChange(before=before, after=after, sizes=sizes)
    found = _pixels(old, new)
    return PictureChange(before=before, after=after, pixels=found) if found.changed else None


def _pixels(old: Image, new: Image) -> Pixels:
    """The second picture, faint, with what differs in red."""
    from PIL import ImageChops

    red, green, blue = ImageChops.difference(old, new).split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    mask = most.point([0] + [255] * 255)
    drawn = new.convert("L").point([170 + level // 3 for level in range(256)]).convert("RGB")
    drawn.paste((207, 34, 46), mask=mask)
    saved = io.BytesIO()
    drawn.save(saved, "PNG")
    changed = mask.histogram()[255]
    return Pixels(changed=changed, total=new.width * new.height, overlay=b64encode(saved.getvalue()).decode())


def _opened(picture: Picture) -> Image | None:
    """The picture on white paper; None for a damaged or very large one, for SVG, and without Pillow."""
    kind = _FORMATS.get(picture.mime)
    if kind is None:
        return None
    try:
        from PIL import Image

        opened = Image.open(io.BytesIO(b64decode(picture.content)), formats=[kind])
        if opened.width * opened.height > _MOST_PIXELS:
            return None
        drawn = opened.convert("RGBA")
    except Exception:  # Pillow is not there, or the picture is damaged, for which it has no error in common
        return None
    paper = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(paper, drawn).convert("RGB")
