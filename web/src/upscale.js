// A photograph of any size, tile by tile; one row of tiles is in memory. See ibsd/upscaling/strips.py.

import { GRID, REACH, bicubic, fillHidden } from "./alpha.js";
import { PngWriter } from "./png.js";
import { Mosaic, pad, placed, spans, tilesFor } from "./tiling.js";

const SHOWN_PIXELS = 16e6; // a larger result is shown smaller, and downloaded whole

// `run(planes, height, width)`: float32 [1, 3, h, w] -> float32 [1, 3, sh, sw]. Gives the PNG, and what to show.
export async function upscale(photograph, network, run, onTile) {
  const { width, height, alpha, grey } = photograph, { scale } = network;
  const { tile, overlap, blend } = tilesFor(network);
  const rows = spans(height, tile, overlap), columns = spans(width, tile, overlap);
  const tileHeight = Math.min(tile, height), tileWidth = Math.min(tile, width), place = placed(tileHeight, tileWidth, network);
  const mosaic = new Mosaic(height, width, scale, blend), across = width * scale, colours = grey ? 1 : 3, channels = colours + (alpha ? 1 : 0);
  const png = new PngWriter(across, height * scale, channels);
  const smaller = Math.ceil(Math.sqrt((across * height * scale) / SHOWN_PIXELS));
  const shown = smaller > 1 ? new Shrinker(across, height * scale, channels, smaller) : null;
  let done = 0;
  for (const row of rows) {
    const margin = alpha ? REACH : 0, first = aligned(row.start - margin), end = Math.min(height, row.start + tileHeight + margin);
    const window = { data: photograph.rows(first, end), first, end, width };
    const [top, bottom] = mosaic.finished(row, height), strip = new Uint8ClampedArray((bottom - top) * scale * across * channels);
    for (const column of columns) {
      const { planes, opacity } = tileOf(window, row.start, column.start, tileHeight, tileWidth, margin);
      const size = place.height * place.width, input = new Float32Array(3 * size);
      planes.forEach((plane, channel) => pad(plane, tileWidth, input.subarray(channel * size, (channel + 1) * size), place));
      const sr = await run(input, place.height, place.width), stride = place.width * scale, area = size * scale * scale;
      const shift = place.top * scale * stride + place.left * scale;
      const results = [0, 1, 2].map((channel) => sr.subarray(channel * area + shift, (channel + 1) * area));
      const part = mosaic.add(results, stride, row, column), left = mosaic.finished(column, width)[0] * scale;
      write(part, strip, across, left, channels, colours);
      if (alpha) writeOpacity(opacity && bicubic(opacity, tileHeight, tileWidth, scale), part, strip, across, left, channels, (top - row.start) * scale, left - column.start * scale, tileWidth * scale);
      onTile(++done, rows.length * columns.length);
    }
    const bytes = new Uint8Array(strip.buffer);
    await png.write(bytes);
    await shown?.write(bytes);
  }
  const blob = await png.end();
  return { blob, shown: shown ? await shown.end() : blob };
}

function aligned(start) {
  return Math.floor(Math.max(0, start) / GRID) * GRID;
}

// Colours in [0, 1] as three planes; opacity, or null where all of it is visible.
function tileOf(window, top, left, height, width, margin) {
  const inner = pixels(window, top, left, height, width);
  if (!margin) return { planes: inner.planes, opacity: null };
  if (inner.opacity.every((value) => value === 1)) return { planes: inner.planes, opacity: null };
  if (inner.opacity.some((value) => value === 0)) {
    const outerTop = aligned(top - margin), outerLeft = aligned(left - margin);
    const outerHeight = Math.min(window.end, top + height + margin) - outerTop, outerWidth = Math.min(window.width, left + width + margin) - outerLeft;
    const outer = pixels(window, outerTop, outerLeft, outerHeight, outerWidth);
    fillHidden(outer.planes, outer.opacity, outerHeight, outerWidth);
    inner.planes = outer.planes.map((plane) => {
      const part = new Float32Array(height * width);
      for (let y = 0; y < height; y++) {
        const first = (top - outerTop + y) * outerWidth + left - outerLeft;
        part.set(plane.subarray(first, first + width), y * width);
      }
      return part;
    });
  }
  return inner;
}

function pixels({ data, first, width: across }, top, left, height, width) {
  const planes = [0, 1, 2].map(() => new Float32Array(height * width)), opacity = new Float32Array(height * width);
  const [red, green, blue] = planes;
  for (let y = 0, to = 0; y < height; y++)
    for (let from = 4 * ((top - first + y) * across + left), x = 0; x < width; x++, from += 4, to++) {
      red[to] = data[from] / 255;
      green[to] = data[from + 1] / 255;
      blue[to] = data[from + 2] / 255;
      opacity[to] = data[from + 3] / 255;
    }
  return { planes, opacity };
}

// Uint8ClampedArray clamps, and rounds halves to even.
function write({ parts: [red, green, blue], height, width, stride }, strip, across, left, channels, colours) {
  let total = 0;
  for (let y = 0; y < height; y++)
    for (let from = y * stride, to = (y * across + left) * channels, x = 0; x < width; x++, from++, to += channels) {
      const sum = red[from] + green[from] + blue[from];
      total += sum;
      if (colours === 1) strip[to] = (sum / 3) * 255;
      else {
        strip[to] = red[from] * 255;
        strip[to + 1] = green[from] * 255;
        strip[to + 2] = blue[from] * 255;
      }
    }
  if (!Number.isFinite(total)) throw new Error("the network's result is not a number somewhere");
}

function writeOpacity(plane, { height, width }, strip, across, left, channels, top, offset, stride) {
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) strip[(y * across + left + x + 1) * channels - 1] = plane ? plane[(top + y) * stride + offset + x] * 255 : 255;
}

// The means of squares of pixels, as a PNG.
class Shrinker {
  constructor(width, height, channels, factor) {
    Object.assign(this, { width, channels, factor, across: Math.floor(width / factor), filled: 0 });
    this.left = Math.floor(height / factor);
    this.png = new PngWriter(this.across, this.left, channels);
    this.sums = new Float32Array(this.across * channels);
  }

  async write(rows) {
    const { width, channels, factor, across, sums } = this, stride = width * channels;
    for (let first = 0; first < rows.length && this.left; first += stride) {
      for (let x = 0; x < across; x++)
        for (let from = first + x * factor * channels, k = 0; k < factor * channels; k++) sums[x * channels + (k % channels)] += rows[from + k];
      if (++this.filled < factor) continue;
      await this.png.write(Uint8Array.from(sums, (sum) => Math.round(sum / factor ** 2)));
      sums.fill(0);
      this.filled = 0;
      this.left--;
    }
  }

  end() {
    return this.png.end();
  }
}
