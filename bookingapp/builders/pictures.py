"""A builder's picture: checked, cropped to a square, encoded anew in two sizes, and found by its digest.

No byte of what was uploaded is served. The pictures are in the database, so that every machine has them.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Mapping
from io import BytesIO

import sqlalchemy as sa
from PIL import Image, ImageOps
from sqlalchemy.orm import Session

from bookingapp.builders.models import Builder, BuilderPicture, PictureSize
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext

LARGEST_UPLOAD = 5 * 1024 * 1024
SMALLEST_SIDE = 160
# As its header says, before anything is decoded. A JPEG may have more, because it is decoded to a smaller size at once.
MOST_PIXELS, MOST_DECODED_PIXELS = 80_000_000, 25_000_000
MIMETYPE = "image/webp"
# Side in pixels, and the most bytes that are kept: 200 KB together.
_SIZES = {PictureSize.CARD: (160, 40 * 1024), PictureSize.PAGE: (480, 160 * 1024)}
_FORMATS = ("JPEG", "PNG", "WEBP")
_QUALITIES = (84, 70, 55, 40, 20, 5)
# A little above the middle, where faces are.
_CENTER = (0.5, 0.4)
_WHITE = (255, 255, 255)
# What other programs would find in the file, and the end of a ZIP archive, which is at the end.
_OTHER_CONTENT = re.compile(rb"<(?:script|html|svg)[\s>/]|<\?php|%PDF-", re.IGNORECASE)
_ZIP_END, _ZIP_ENDS_WITHIN = b"PK\x05\x06", 66_000
_SVG = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|!doctype|svg)", re.IGNORECASE)
# Decoding needs much memory, so that it is done for one picture at a time.
_decoding = threading.Lock()


def encode_picture(upload: bytes) -> dict[PictureSize, bytes]:
    """The picture in each size, as WebP without metadata.

    Raises :class:`Invalid` for what is too large or too small, for what is no JPEG, PNG or WebP, and for a file that is
    something else besides.
    """
    if len(upload) > LARGEST_UPLOAD:
        raise Invalid(gettext("This file is too large. Please choose one of at most 5 MB."))
    if _SVG.match(upload):
        raise Invalid(gettext("An SVG cannot be used. Please choose a JPEG, PNG or WebP."))
    if _OTHER_CONTENT.search(upload) or _ZIP_END in upload[-_ZIP_ENDS_WITHIN:]:
        raise Invalid(
            gettext(
                "This file is not only a picture: there is a document or program in it. Please save the picture "
                "again as a JPEG, PNG or WebP, and choose that."
            )
        )
    with _decoding:
        picture = _decode(upload)
        return {size: _encode(picture, side, most) for size, (side, most) in _SIZES.items()}


def _decode(upload: bytes) -> Image.Image:
    """The picture as it is meant to be seen, in red, green and blue, no larger than needed where that is cheap."""
    try:
        # Decoders of other formats are not tried.
        with Image.open(BytesIO(upload), formats=_FORMATS) as opened:
            if problem := _find_problem(*opened.size):
                raise Invalid(problem)  # noqa: TRY301 - the file is closed first.
            largest = max(side for side, _ in _SIZES.values())
            opened.draft("RGB", (largest * 2, largest * 2))
            if math.prod(opened.size) > MOST_DECODED_PIXELS:
                raise Invalid(_too_many_pixels())  # noqa: TRY301 - the file is closed first.
            upright = ImageOps.exif_transpose(opened)
            if upright.has_transparency_data:
                layer = upright.convert("RGBA")
                upright = Image.new("RGBA", layer.size, (*_WHITE, 255))
                upright.alpha_composite(layer)
            return upright.convert("RGB")
    except Invalid:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Invalid(_too_many_pixels()) from error
    except Exception as error:
        # Damaged files make decoders raise anything, from SyntaxError to struct.error.
        raise Invalid(
            gettext("We cannot read this file as a picture. Please choose a JPEG, PNG or WebP.")
        ) from error


def _find_problem(width: int, height: int) -> str | None:
    """What is wrong with a picture of this size, before it is decoded."""
    if width * height > MOST_PIXELS:
        return _too_many_pixels()
    if min(width, height) < SMALLEST_SIDE:
        return gettext(
            "This picture is too small. Please choose one of at least %(side)s by %(side)s pixels.",
            side=SMALLEST_SIDE,
        )
    return None


def _too_many_pixels() -> str:
    return gettext("This picture has too many pixels. Please make it smaller, for example 2000 by 2000.")


def _encode(picture: Image.Image, side: int, most: int) -> bytes:
    square = ImageOps.fit(picture, (side, side), Image.Resampling.LANCZOS, centering=_CENTER)
    # A new image has the pixels and no profile, comment or place.
    clean = Image.new("RGB", square.size)
    clean.paste(square)
    encoded = b""
    for quality in _QUALITIES:
        file = BytesIO()
        clean.save(file, "WEBP", quality=quality, method=4)
        encoded = file.getvalue()
        if len(encoded) <= most:
            break
    return encoded


def store_picture(session: Session, builder: Builder, sizes: Mapping[PictureSize, bytes], alt: str) -> None:
    """Replace the builder's picture. ``builder`` is of this session."""
    remove_picture(session, builder)
    digest = hashlib.sha256(sizes[PictureSize.PAGE]).hexdigest()[:32]
    session.add_all(
        BuilderPicture(builder_id=builder.id, size=size, digest=digest, content=content)
        for size, content in sizes.items()
    )
    builder.picture, builder.picture_alt = digest, alt


def remove_picture(session: Session, builder: Builder) -> None:
    """Back to the initials."""
    session.execute(sa.delete(BuilderPicture).where(BuilderPicture.builder_id == builder.id))
    builder.picture, builder.picture_alt = None, ""


def find_picture(session: Session, digest: str, size: PictureSize) -> bytes | None:
    """The content of a picture that some builder has now."""
    query = sa.select(BuilderPicture.content).where(
        BuilderPicture.digest == digest, BuilderPicture.size == size
    )
    return session.scalar(query.limit(1))
