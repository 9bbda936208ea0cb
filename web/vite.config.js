import { defineConfig } from "vite";

// Every file gets a flat name with a hash; the page works from any folder of a host.
// Hosts do not know .mjs, and browsers refuse a module of an unknown kind.
const output = { assetFileNames: ({ names }) => (names[0].endsWith(".mjs") ? "runtime-[hash].js" : "[name]-[hash][extname]") };

export default defineConfig({
  base: "./",
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"] },
  worker: { format: "es", rollupOptions: { output } },
  build: {
    target: "es2022",
    outDir: "dist",
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { output },
  },
});
