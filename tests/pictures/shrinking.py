"""A screenshot as a palette of at most 256 colours: a third of its size, and no difference to see. Chromium
reads the pixels, so that no library of images is needed."""

import base64
import struct
import zlib

from playwright.sync_api import Page

_INDEXED = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  const drawn = canvas.getContext("2d");
  drawn.drawImage(image, 0, 0);
  const { data } = drawn.getImageData(0, 0, image.width, image.height);
  const pixels = new Uint32Array(data.buffer);
  const count = new Map();
  for (const pixel of pixels) count.set(pixel, (count.get(pixel) || 0) + 1);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const apart = (a, b) => parts(a).reduce((sum, value, i) => sum + (value - parts(b)[i]) ** 2, 0);
  const usual = [...count].sort((a, b) => b[1] - a[1]).map(([pixel]) => pixel);
  // The usual first; of colours that are alike one, or the many greys of text leave none for a sign.
  let kept = usual;
  for (let least = 3; kept.length > 256; least += 3) {
    kept = [];
    for (const pixel of usual) if (kept.every((each) => apart(each, pixel) > least ** 2)) kept.push(pixel);
  }
  const palette = kept.map(parts);
  const places = new Map(kept.map((pixel, place) => [pixel, place]));
  const nearest = (pixel) => {
    const away = kept.map((each) => apart(each, pixel));
    return away.indexOf(Math.min(...away));
  };
  const indexed = Uint8Array.from(pixels, (pixel) => {
    if (!places.has(pixel)) places.set(pixel, nearest(pixel));
    return places.get(pixel);
  });
  let text = "";
  for (let at = 0; at < indexed.length; at += 8192) text += String.fromCharCode(...indexed.subarray(at, at + 8192));
  return { width: image.width, height: image.height, palette: palette.flat(), indexed: btoa(text) };
}"""


def shrunk(page: Page, png: bytes) -> bytes:
    """The same picture as an indexed PNG; any page can do the reading."""
    found = page.evaluate(
        _INDEXED, "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    )
    width, height = found["width"], found["height"]
    rows = base64.b64decode(found["indexed"])
    unfiltered = b"".join(b"\0" + rows[at : at + width] for at in range(0, len(rows), width))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(found["palette"])),
            _chunk(b"IDAT", zlib.compress(unfiltered, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
