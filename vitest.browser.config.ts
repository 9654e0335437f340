import { defineConfig } from "vitest/config";

// The tests in tests/browser: they drive a real Chromium from Node.
export default defineConfig({
  test: {
    include: ["tests/browser/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
