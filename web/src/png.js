// PNG, row by row: memory holds what the encoder works on. What is done goes into blobs, which the browser
// may keep on the disk.

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

// Of some bytes, after others of which it is `before`.
export function crc32(bytes, before = 0) {
  let crc = ~before;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function chunk(kind, data) {
  const bytes = new Uint8Array(data.length + 12), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let at = 0; at < 4; at++) bytes[4 + at] = kind.charCodeAt(at);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, crc32(bytes.subarray(4, data.length + 8)));
  return bytes;
}

const COLOURS = { 1: 0, 2: 4, 3: 2, 4: 6 };

export class PngWriter {
  constructor(width, height, channels) {
    this.stride = width * channels;
    this.channels = channels;
    this.above = new Uint8Array(this.stride);
    const header = new Uint8Array(13), view = new DataView(header.buffer);
    view.setUint32(0, width);
    view.setUint32(4, height);
    header.set([8, COLOURS[channels]], 8);
    this.parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", header), chunk("sRGB", Uint8Array.of(0))];
    const stream = new CompressionStream("deflate");
    this.input = stream.writable.getWriter();
    this.compressed = this.collect(stream.readable.getReader());
  }

  async collect(reader) {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.parts.push(chunk("IDAT", value));
      if (this.parts.length > 256) this.parts = [new Blob(this.parts)];
    }
  }

  // Whole rows, from the top down.
  async write(rows) {
    const { stride, channels } = this, step = Math.max(1, Math.floor(2 ** 20 / stride));
    const number = rows.length / stride;
    for (let first = 0; first < number; first += step) {
      const count = Math.min(step, number - first), out = new Uint8Array(count * (stride + 1));
      for (let y = 0; y < count; y++) {
        const row = rows.subarray((first + y) * stride, (first + y + 1) * stride);
        out[y * (stride + 1)] = 4;
        paeth(row, this.above, out.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)), channels);
        this.above = row;
      }
      await this.input.write(out);
    }
    this.above = this.above.slice(); // lets go of the caller's rows
  }

  async end() {
    await this.input.close();
    await this.compressed;
    return new Blob([...this.parts, chunk("IEND", new Uint8Array(0))], { type: "image/png" });
  }
}

function paeth(row, above, out, channels) {
  for (let at = 0; at < channels; at++) out[at] = row[at] - above[at];
  for (let at = channels; at < row.length; at++) {
    const left = row[at - channels], up = above[at], corner = above[at - channels];
    const toLeft = Math.abs(up - corner), toUp = Math.abs(left - corner), toCorner = Math.abs(left + up - 2 * corner);
    out[at] = row[at] - (toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner);
  }
}
