// A runtime of ONNX Runtime Web and its one session, of one fixed shape: all tiles of a photograph have it, and
// WebGPU gives its buffers back only then (onnxruntime#23739).

export class Engine {
  // `options`: of its sessions.
  constructor(ort, model, options) {
    Object.assign(this, { ort, model, options });
  }

  async open(height, width) {
    if (this.shape === `${height} ${width}`) return;
    const options = { ...this.options, freeDimensionOverrides: { height, width }, graphOptimizationLevel: "all" };
    const session = await this.ort.InferenceSession.create(this.model, options);
    await this.close(); // only now: the GPU's device ends with its last session
    Object.assign(this, { session, shape: `${height} ${width}` });
  }

  async run(input, height, width) {
    await this.open(height, width);
    const { output } = await this.session.run({ data: new this.ort.Tensor("float32", input, [1, 3, height, width]) });
    return output.data;
  }

  async close() {
    const { session } = this;
    this.session = this.shape = null;
    await session?.release();
  }
}

// Files are compressed, because not every host does that; some hosts unpack them.
export async function unpacked(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.pathname.split("/").at(-1)} is missing on this server`);
  const bytes = await response.arrayBuffer(), head = new Uint8Array(bytes, 0, 2);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
