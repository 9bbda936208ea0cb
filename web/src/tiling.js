// Tiles and how they are blended: the same as ibsd/upscaling/tiling.py and strips.py, so that the page
// gives what `ibsd upscale` gives. Lengths are LR pixels.

const UNKNOWN_REACH = 32, OPACITY_REACH = 2, SMALLEST_TILE = 16, SMALLEST_PHOTOGRAPH = 8;

export function tilesFor({ receptive_field_px: reach, tile_px: own, pools_globally: pools }) {
  const overlap = reach === null ? UNKNOWN_REACH : Math.max(reach, OPACITY_REACH);
  const tile = Math.max(own, SMALLEST_TILE + 2 * overlap);
  const widest = Math.min(Math.floor((2 * overlap) / 3), overlap - OPACITY_REACH, Math.floor((tile - 2 * overlap) / 2));
  return { tile, overlap, blend: pools ? widest : 0 };
}

export function spans(length, tile, overlap) {
  const all = [];
  for (let to = 0; to < length; ) {
    const from = to, start = Math.min(Math.max(0, from - overlap), Math.max(0, length - tile)), end = start + tile;
    to = end >= length ? length : end - overlap;
    all.push({ start, from, to });
  }
  return all;
}

// The size that a network runs at for tiles of this height and width, and where the tile lies in it.
export function placed(height, width, { minimum_size_px: minimum, multiple_px: multiple, pads_zeros: zeros }) {
  const along = (length) => {
    const extra = Math.max(0, SMALLEST_PHOTOGRAPH - length), before = Math.floor(extra / 2), grown = length + extra;
    const even = Math.ceil(grown / multiple) * multiple, size = Math.max(even, minimum);
    const source = Int32Array.from({ length: size }, (_, place) => {
      const at = Math.min(place, even - 1);
      return zeros && at >= grown ? -1 : Math.min(Math.max(at - before, 0), length - 1);
    });
    return { before, size, source };
  };
  const down = along(height), across = along(width);
  return { height: down.size, width: across.size, top: down.before, left: across.before, rows: down.source, columns: across.source };
}

// One plane [h, w] for the network: -1 among the places is zero.
export function pad(plane, width, target, { rows, columns }) {
  let at = 0;
  for (const row of rows) for (const column of columns) target[at++] = row < 0 || column < 0 ? 0 : plane[row * width + column];
}

export class Mosaic {
  constructor(height, width, scale, blend) {
    Object.assign(this, { height, width, scale, blend });
    const band = (this.band = 2 * blend * scale);
    this.weight = Float32Array.from({ length: band }, (_, at) => (at + 0.5) / band);
    this.upper = [0, 1, 2].map(() => new Float32Array(band * width * scale));
    this.left = null;
  }

  // The pixels of an image of this length that are final once the tile is added.
  finished({ from, to }, length) {
    return [from && from - this.blend, to < length ? to - this.blend : length];
  }

  // The finished part of a tile's result, three planes with `stride` values a row, blended with the tiles before.
  add(planes, stride, row, column) {
    const { scale, blend, band, weight } = this;
    const [top, bottom] = this.finished(row, this.height), [left, right] = this.finished(column, this.width);
    const lower = row.to < this.height, further = column.to < this.width;
    const height = (bottom - top) * scale + (lower ? band : 0), width = (right - left) * scale + (further ? band : 0);
    const kept = { height: (bottom - top) * scale, width: (right - left) * scale, stride: width };
    const parts = planes.map((plane) => {
      const part = new Float32Array(height * width), first = (top - row.start) * scale * stride + (left - column.start) * scale;
      for (let y = 0; y < height; y++) part.set(plane.subarray(first + y * stride, first + y * stride + width), y * width);
      return part;
    });
    if (blend) {
      const before = this.left;
      this.left = further ? [] : null;
      parts.forEach((part, channel) => {
        if (column.from)
          for (let y = 0; y < height; y++)
            for (let x = 0; x < band; x++) {
              const earlier = before[channel][y * band + x];
              part[y * width + x] = (part[y * width + x] - earlier) * weight[x] + earlier;
            }
        if (further) {
          const saved = new Float32Array(height * band);
          for (let y = 0; y < height; y++) saved.set(part.subarray((y + 1) * width - band, (y + 1) * width), y * band);
          this.left.push(saved);
        }
        const upper = this.upper[channel], across = this.width * scale, first = left * scale;
        if (row.from)
          for (let y = 0; y < band; y++)
            for (let x = 0; x < kept.width; x++) {
              const earlier = upper[y * across + first + x];
              part[y * width + x] = (part[y * width + x] - earlier) * weight[y] + earlier;
            }
        if (lower) for (let y = 0; y < band; y++) upper.set(part.subarray((kept.height + y) * width, (kept.height + y) * width + kept.width), y * across + first);
      });
    }
    return { parts, ...kept };
  }
}
