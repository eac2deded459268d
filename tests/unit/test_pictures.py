"""Pictures of builders: what is accepted, what is kept of it, and what hostile files do: nothing."""

from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bookingapp.builders.models import PictureSize
from bookingapp.builders.pictures import LARGEST_UPLOAD, encode_picture
from bookingapp.core.errors import Invalid

SIDES = {PictureSize.CARD: 160, PictureSize.PAGE: 480}
RED, BLUE = (200, 30, 30), (30, 30, 200)


def file_of(picture: Image.Image, kind: str = "JPEG", **how: Any) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def plain(width: int = 900, height: int = 600, mode: str = "RGB", color: Any = RED) -> Image.Image:
    return Image.new(mode, (width, height), color)


def noise(side: int) -> Image.Image:
    return Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3))


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content))


def is_near(pixel: Any, color: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 25 for a, b in zip(pixel, color, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(900, 600), (160, 2000), (1600, 1200)])
def test_a_square_in_two_sizes(kind: str, size: tuple[int, int]) -> None:
    for name, content in encode_picture(file_of(plain(*size), kind)).items():
        picture = opened(content)
        assert (picture.format, picture.mode, picture.size) == ("WEBP", "RGB", (SIDES[name], SIDES[name]))
        assert is_near(picture.getpixel((80, 80)), RED)


@pytest.mark.parametrize(
    ("mode", "color", "seen"),
    [
        ("RGBA", (200, 30, 30, 0), (255, 255, 255)),
        ("LA", (0, 255), (0, 0, 0)),
        ("L", 128, (128, 128, 128)),
        ("P", 0, (0, 0, 0)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 65535, (255, 255, 255)),
    ],
)
def test_any_mode_of_a_png(mode: str, color: Any, seen: tuple[int, int, int]) -> None:
    """What is transparent becomes white."""
    picture = opened(encode_picture(file_of(plain(300, 300, mode, color), "PNG"))[PictureSize.PAGE])
    assert is_near(picture.getpixel((240, 240)), seen)


def test_print_colors() -> None:
    assert encode_picture(file_of(plain(300, 300, "CMYK", (0, 255, 255, 0))))


def test_at_most_200_kilobytes_are_kept() -> None:
    """Noise is the hardest to compress."""
    sizes = encode_picture(file_of(noise(1200), quality=95))
    assert sum(map(len, sizes.values())) <= 200 * 1024


def test_the_orientation_is_applied_and_everything_else_about_the_photo_is_gone() -> None:
    """A phone held upright: left of what is stored is the top. Its file says where and when, and has a thumbnail."""
    picture = plain(800, 400)
    picture.paste(BLUE, (0, 0, 400, 400))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SECRETCAM"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    upload = file_of(picture, exif=exif, icc_profile=b"SECRETPROFILE" * 20, comment=b"SECRETCOMMENT")
    assert opened(upload).getexif().get_ifd(0x8825)
    for name, content in encode_picture(upload).items():
        made, side = opened(content), SIDES[name]
        assert is_near(made.getpixel((side // 2, side // 10)), BLUE)
        assert is_near(made.getpixel((side // 2, side - side // 10)), RED)
        assert not made.getexif()
        assert b"SECRET" not in content
        assert {"exif", "icc_profile", "xmp"}.isdisjoint(made.info)
        assert content[12:16] == b"VP8 "  # No chunk but the pixels.


def test_texts_of_a_png_are_gone() -> None:
    texts = PngInfo()
    texts.add_text("Author", "SECRET", zip=True)
    upload = file_of(plain(), "PNG", pnginfo=texts)
    assert all(b"SECRET" not in content for content in encode_picture(upload).values())


def test_only_the_first_of_several_pictures() -> None:
    frames = [plain(200, 200, color=color) for color in (RED, BLUE)]
    for kind in ("PNG", "WEBP"):
        upload = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        assert is_near(opened(encode_picture(upload)[PictureSize.CARD]).getpixel((80, 80)), RED)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG whose header says this, whatever its pixels are."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


PHOTO = file_of(plain())
TOO_MANY, UNREADABLE = "This picture has too many pixels.", "We cannot read this file as a picture."
NOT_ONLY = "This file is not only a picture"
HOSTILE = {
    "no content": (b"", UNREADABLE),
    "text": (b"hello" * 100, UNREADABLE),
    "too large": (PHOTO.ljust(LARGEST_UPLOAD + 1, b"\0"), "This file is too large."),
    "too small": (file_of(plain(159, 400)), "This picture is too small."),
    "a line": (file_of(plain(20_000, 1)), "This picture is too small."),
    "a bomb": (png_of(30_000, 30_000, bytes(30_000)), TOO_MANY),
    "a larger bomb": (png_of(2**31 - 1, 2**31 - 1), TOO_MANY),
    "many pixels of few bytes": (png_of(9000, 8000, bytes(1_000_000)), TOO_MANY),
    "a truncated JPEG": (PHOTO[: len(PHOTO) // 2], UNREADABLE),
    "a truncated PNG": (file_of(noise(300), "PNG")[:50_000], UNREADABLE),
    "a truncated WebP": (file_of(noise(300), "WEBP")[:9_000], UNREADABLE),
    "fewer pixels than it says": (png_of(300, 300, b"\0" * 50), UNREADABLE),
    "a GIF": (file_of(plain(), "GIF"), UNREADABLE),
    "a BMP": (file_of(plain(), "BMP"), UNREADABLE),
    "a TIFF": (file_of(plain(), "TIFF"), UNREADABLE),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 300\n", UNREADABLE),
    "an SVG": (
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>x()</script></svg>',
        "An SVG cannot be used.",
    ),
    "an SVG after a declaration": (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg/>', "An SVG cannot be used."),
    "HTML in a comment": (file_of(plain(), comment=b"<script>alert(1)</script>"), NOT_ONLY),
    "HTML behind it": (PHOTO + b"<HTML ><body onload=x()>", NOT_ONLY),
    "PHP behind it": (PHOTO + b"<?php system($_GET[0]);", NOT_ONLY),
    "a PDF in it": (file_of(plain(), comment=b"%PDF-1.7"), NOT_ONLY),
    "an archive behind it": (PHOTO + b"PK\x05\x06" + bytes(18), NOT_ONLY),
    "an SVG behind it": (PHOTO + b"<svg onload=x()>", NOT_ONLY),
}


@pytest.mark.parametrize(("upload", "words"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_refused(upload: bytes, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        encode_picture(upload)
    assert refusal.value.message.startswith(words)


def test_a_photo_of_a_good_camera() -> None:
    """35 million pixels as JPEG are decoded to a smaller size at once."""
    assert encode_picture(file_of(plain(7000, 5000), quality=30))


def test_damaged_files_are_pictures_or_refused() -> None:
    """Whatever the decoders do with them: nothing but a sentence comes out."""
    dice = random.Random(2)
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = file_of(noise(170), kind)
        for _ in range(12):
            damaged = bytearray(whole)
            for _ in range(dice.randint(1, 8)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
            try:
                sizes = encode_picture(bytes(damaged))
            except Invalid:
                continue
            assert {opened(content).format for content in sizes.values()} == {"WEBP"}
