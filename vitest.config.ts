import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const build = (path: string) => fileURLToPath(new URL(`./build/${path}`, import.meta.url));

export default defineConfig({
  resolve: { alias: { tidemark: build("bindings/index.node.js") } },
  test: {
    include: ["tests/**/*.test.ts"],
    exclude: ["tests/browser/**"],
    testTimeout: 120_000,
  },
});
