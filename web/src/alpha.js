// Transparency, the same as ibsd/upscaling/alpha.py: hidden colours are replaced from visible neighbours
// (Gortler et al., SIGGRAPH 1996, pull-push), opacity is enlarged by bicubic interpolation.

const LEVELS = 5;
export const GRID = 2 ** LEVELS;
export const REACH = 3 * GRID;

// `colours`: three planes of height x width; `weight`: opacity. Changes the colours where the weight is 0.
export function fillHidden(colours, weight, height, width, levels = LEVELS) {
  if (weight.every((value) => value > 0)) return;
  if (levels === 0) {
    for (let at = 0; at < weight.length; at++) if (weight[at] <= 0) for (const plane of colours) plane[at] = 0.5;
    return;
  }
  const high = Math.ceil(height / 2), wide = Math.ceil(width / 2);
  const coarse = halved(weight, height, width);
  const means = colours.map((plane) => {
    const sums = halved(plane.map((value, at) => value * weight[at]), height, width);
    return sums.map((value, at) => value / Math.max(coarse[at], 1e-12));
  });
  fillHidden(means, coarse, high, wide, levels - 1);
  colours.forEach((plane, channel) => {
    const mean = means[channel];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) if (weight[y * width + x] <= 0) plane[y * width + x] = between(mean, high, wide, y, x);
  });
}

function halved(plane, height, width) {
  const high = Math.ceil(height / 2), wide = Math.ceil(width / 2), out = new Float32Array(high * wide);
  for (let y = 0; y < high; y++)
    for (let x = 0; x < wide; x++) {
      const upper = 2 * y * width, lower = Math.min(2 * y + 1, height - 1) * width, left = 2 * x, right = Math.min(2 * x + 1, width - 1);
      out[y * wide + x] = 0.25 * (plane[upper + left] + plane[lower + left] + plane[upper + right] + plane[lower + right]);
    }
  return out;
}

// Bilinear interpolation at twice the size, half-pixel centres, edges repeated.
function between(plane, height, width, y, x) {
  const row = y >> 1, column = x >> 1;
  const nextRow = Math.min(Math.max(row + (y & 1 ? 1 : -1), 0), height - 1), nextColumn = Math.min(Math.max(column + (x & 1 ? 1 : -1), 0), width - 1);
  const near = 0.75 * plane[row * width + column] + 0.25 * plane[nextRow * width + column];
  const far = 0.75 * plane[row * width + nextColumn] + 0.25 * plane[nextRow * width + nextColumn];
  return 0.75 * near + 0.25 * far;
}

// [h, w] -> [sh, sw], a = -0.75, edges repeated, clamped to [0, 1].
export function bicubic(plane, height, width, scale) {
  const down = taps(height, scale), across = taps(width, scale), tall = new Float32Array(height * scale * width);
  for (let y = 0; y < height * scale; y++)
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [row, weight] of down[y]) sum += weight * plane[row * width + x];
      tall[y * width + x] = sum;
    }
  const out = new Float32Array(height * scale * width * scale);
  for (let y = 0; y < height * scale; y++)
    for (let x = 0; x < width * scale; x++) {
      let sum = 0;
      for (const [column, weight] of across[x]) sum += weight * tall[y * width + column];
      out[y * width * scale + x] = Math.min(Math.max(sum, 0), 1);
    }
  return out;
}

function taps(length, scale) {
  return Array.from({ length: length * scale }, (_, at) => {
    const position = (at + 0.5) / scale - 0.5, first = Math.floor(position) - 1;
    return [0, 1, 2, 3].map((k) => [Math.min(Math.max(first + k, 0), length - 1), cubic(Math.abs(position - first - k))]);
  });
}

function cubic(x, a = -0.75) {
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}
