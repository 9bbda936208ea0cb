// The network on the graphics card: another build of ONNX Runtime Web, loaded only where there is one.

import * as ort from "onnxruntime-web/jspi";
import runtimeUrl from "onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url";
import { Engine, unpacked } from "./engine.js";

const HALF_A_LEVEL = 0.5 / 255;

// An engine whose result for a fixed tile equals that of `wasm`, an engine too, and comes sooner; `always` takes it
// if slower. Errors say why it is not taken. `inTurn` runs what nothing else may disturb.
export async function tryGpu(wasm, { height, width }, base, always, inTurn) {
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpacked(new URL("webgpu.bin", base)), wasmPaths: { mjs: runtimeUrl }, proxy: false });
  ort.env.logLevel = "error";
  const extra = { session: { disable_cpu_ep_fallback: "1" } }; // otherwise operators may run on the processor, unsaid
  const gpu = new Gpu(ort, wasm.model, { ...wasm.options, executionProviders: ["webgpu"], extra });
  const tile = trialTile(height, width), timed = async (engine) => {
    const start = performance.now(), result = await engine.run(tile, height, width);
    return [result, performance.now() - start];
  };
  try {
    await timed(gpu); // prepares itself
    const reason = await inTurn(async () => {
      await timed(wasm);
      const [expected, usual] = await timed(wasm), [result, time] = await timed(gpu);
      if (!result.every((value, at) => Math.abs(value - expected[at]) < HALF_A_LEVEL)) return "its result differs";
      return time < usual || always ? null : "it is slower here";
    });
    if (reason) throw new Error(reason);
    return gpu;
  } catch (error) {
    gpu.close().catch(() => {});
    throw error;
  }
}

class Gpu extends Engine {
  // A lost device may never answer.
  async run(input, height, width) {
    await this.open(height, width);
    this.lost ??= lostDevice(this.ort.env.webgpu);
    this.lost.catch(() => {});
    return Promise.race([super.run(input, height, width), this.lost]);
  }
}

async function lostDevice(webgpu) {
  const device = await webgpu.device, { message } = await device.lost;
  throw new Error(message || "it was lost");
}

// Edges, slopes and noise.
function trialTile(height, width) {
  let noise = 1;
  return Float32Array.from({ length: 3 * height * width }, (_, at) => {
    const x = at % width, y = Math.floor(at / width) % height;
    noise = (noise * 16807) % 2147483647; // Park and Miller, 1988
    return 0.4 * ((x >> 4) & 1) + 0.4 * (y / height) + (0.2 * noise) / 2147483647;
  });
}
