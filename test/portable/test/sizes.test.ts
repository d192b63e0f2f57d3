import { expect, test } from "bun:test"
import { sizes } from "../src/sizes/sizes.ts"

test("the paths of inference and training are no larger than they may be", async () => {
  const all = await sizes()
  expect(all.map(({ path }) => path)).toEqual(["inference", "training"])
  for (const { code, kernels, limit } of all) {
    // The smallest of kernels and code that could be right: a bundle that failed is no small bundle.
    expect(code).toBeGreaterThan(1024)
    expect(kernels).toBeGreaterThan(10 * 1024)
    expect(code + kernels).toBeLessThanOrEqual(limit)
  }
})
