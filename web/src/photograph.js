// A photograph as the browser decodes it: upright, in sRGB, 8 bits. Its rows are read as they are needed.

const STRIP = 256;
const PREVIEW = 1600; // its longest side

export async function openPhotograph(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch {
    throw new Error(`this browser cannot read it as an image${/\.hei[cf]$/i.test(file.name) ? ", HEIC least of all: save it as JPEG" : ""}`);
  }
  const moves = await isAnimation(file), { width, height } = bitmap, canvas = new OffscreenCanvas(width, Math.min(height, STRIP));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const piece = (top, bottom) => {
    pen.clearRect(0, 0, width, canvas.height);
    pen.drawImage(bitmap, 0, top, width, bottom - top, 0, 0, width, bottom - top);
    return pen.getImageData(0, 0, width, bottom - top).data;
  };
  const rows = (top, bottom) => {
    const out = new Uint8ClampedArray((bottom - top) * width * 4);
    for (let first = top; first < bottom; first += STRIP) out.set(piece(first, Math.min(first + STRIP, bottom)), (first - top) * width * 4);
    return out;
  };
  let alpha = false, grey = true;
  const opaque = file.type === "image/jpeg";
  for (let top = 0; top < height && !(opaque && !grey); top += STRIP) {
    const data = piece(top, Math.min(top + STRIP, height));
    for (let at = 0; at < data.length; at += 4) {
      if (data[at] !== data[at + 1] || data[at] !== data[at + 2]) grey = false;
      if (data[at + 3] < 255) alpha = true;
    }
  }
  const preview = () => {
    const shrink = Math.min(1, PREVIEW / Math.max(width, height)), small = new OffscreenCanvas(Math.ceil(width * shrink), Math.ceil(height * shrink));
    const brush = small.getContext("2d");
    brush.imageSmoothingQuality = "high";
    brush.drawImage(bitmap, 0, 0, small.width, small.height);
    return small.convertToBlob({ type: alpha ? "image/png" : "image/jpeg", quality: 0.9 });
  };
  return { width, height, moves, alpha, grey, rows, preview, close: () => bitmap.close() };
}

// Of an animation the browser decodes the first picture alone.
async function isAnimation(file) {
  const text = async (blob) => new TextDecoder("latin1").decode(await blob.arrayBuffer());
  const start = await text(file.slice(0, 1e6));
  if (start.startsWith("GIF8")) return (await text(file)).match(/\x21\xf9\x04[^]{4}\0[\x2c\x21]/g)?.length > 1;
  if (start.startsWith("PNG", 1)) return start.lastIndexOf("acTL", start.indexOf("IDAT")) > 0;
  if (start.startsWith("VP8X", 12)) return (start.charCodeAt(20) & 2) > 0; // WebP
  return /^[^]{4}ftyp(avis|msf1|hevc|hevx)/.test(start);
}
