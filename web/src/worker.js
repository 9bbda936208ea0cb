// Runs the network away from the page, so that the page never waits.

import * as ort from "onnxruntime-web/wasm";
import runtimeUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import { Engine, unpacked } from "./engine.js";
import { openPhotograph } from "./photograph.js";
import { placed } from "./tiling.js";
import { upscale } from "./upscale.js";

const SIDE = 64; // pixels, of the tile that compiles the runtime, and of the one that WebGPU is tried with

let network, wasm, gpu = null, turn = Promise.resolve();

// One run after the other, so that none is slowed while it is timed.
function inTurn(job) {
  return (turn = turn.then(job, job));
}

async function start({ page, base, threads, engine }) {
  network = page.network;
  const names = ["runtime.bin", "model.bin", ...(page.weights ? ["weights.bin"] : [])];
  const [binary, bytes, weights] = await Promise.all(names.map((name) => unpacked(new URL(name, base))));
  Object.assign(ort.env.wasm, { numThreads: threads, wasmBinary: binary, wasmPaths: { mjs: runtimeUrl }, proxy: false });
  ort.env.logLevel = "error";
  const externalData = weights && [{ path: page.weights, data: new Uint8Array(weights) }];
  wasm = new Engine(ort, new Uint8Array(bytes), { executionProviders: ["wasm"], externalData });
  const { height, width } = placed(SIDE, SIDE, network);
  await wasm.open(height, width);
  postMessage({ kind: "ready", threads });
  if (engine !== "wasm") await seekGpu(base, engine === "webgpu");
}

// Photographs begin without waiting for this. `always`: also in software, and where it is slower.
async function seekGpu(base, always) {
  try {
    const adapter = "Suspending" in WebAssembly && (await navigator.gpu?.requestAdapter()); // the build needs JSPI
    if (adapter && (always || !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter))) {
      const { tryGpu } = await import("./gpu.js");
      gpu = await tryGpu(wasm, placed(SIDE, SIDE, network), base, always, inTurn);
      postMessage({ kind: "engine", name: "webgpu" });
    } else if (always) leaveGpu(new Error("this browser shows none"));
  } catch (error) {
    leaveGpu(error);
  }
}

function leaveGpu({ message }) {
  gpu?.close().catch(() => {});
  gpu = null;
  postMessage({ kind: "engine", name: "wasm", text: message });
}

function run(input, height, width) {
  return inTurn(async () => {
    try {
      if (gpu) return await gpu.run(input, height, width);
    } catch (error) {
      leaveGpu(error);
    }
    return wasm.run(input, height, width);
  });
}

async function take({ id, file, large }) {
  let photograph;
  try {
    photograph = await openPhotograph(file);
    const { width, height, moves } = photograph;
    postMessage({ kind: "opened", id, width, height, moves, preview: (large || moves) && (await photograph.preview()) });
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
