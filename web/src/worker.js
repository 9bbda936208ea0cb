// Runs the network away from the page, so that the page never waits.

import * as ort from "onnxruntime-web/wasm";
import runtimeUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import { openPhotograph } from "./photograph.js";
import { upscale } from "./upscale.js";

let model, externalData, network, session, shape;

async function start({ page, base, threads }) {
  network = page.network;
  const names = ["runtime.bin", "model.bin", ...(page.weights ? ["weights.bin"] : [])];
  const [binary, bytes, weights] = await Promise.all(names.map((name) => unpacked(new URL(name, base))));
  Object.assign(ort.env.wasm, { numThreads: threads, wasmBinary: binary, wasmPaths: { mjs: runtimeUrl }, proxy: false });
  ort.env.logLevel = "error";
  model = new Uint8Array(bytes);
  externalData = weights && [{ path: page.weights, data: new Uint8Array(weights) }];
  await open(Math.min(network.tile_px, 64), Math.min(network.tile_px, 64)); // compiles the runtime
  postMessage({ kind: "ready", threads });
}

// Files are compressed, because not every host does that; some hosts unpack them.
async function unpacked(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.pathname.split("/").at(-1)} is missing on this server`);
  const bytes = await response.arrayBuffer(), head = new Uint8Array(bytes, 0, 2);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// A session of one fixed shape: all tiles of a photograph have it.
async function open(height, width) {
  if (shape === `${height} ${width}`) return;
  await session?.release();
  session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    externalData,
    freeDimensionOverrides: { height, width },
    graphOptimizationLevel: "all",
  });
  shape = `${height} ${width}`;
}

async function run(input, height, width) {
  await open(height, width);
  const { output } = await session.run({ data: new ort.Tensor("float32", input, [1, 3, height, width]) });
  return output.data;
}

async function take({ id, file, large }) {
  let photograph;
  try {
    photograph = await openPhotograph(file);
    const { width, height } = photograph;
    postMessage({ kind: "opened", id, width, height, preview: large && (await photograph.preview()) });
    const result = await upscale(photograph, network, run, (done, all) => postMessage({ kind: "tile", id, done, all }));
    postMessage({ kind: "done", id, ...result });
  } catch (error) {
    postMessage({ kind: "failed", id, text: error.message });
  } finally {
    photograph?.close();
  }
}

onmessage = async ({ data }) => {
  if (data.kind === "upscale") return take(data);
  try {
    await start(data);
  } catch (error) {
    postMessage({ kind: "broken", text: error.message });
  }
};
