import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { repository } from "../src/project.ts"
import { modulesOf, sizes } from "../src/sizes/sizes.ts"

test("bundles for inference and training are within their size limits", async () => {
  const all = await sizes()
  expect(all.map(({ path }) => path)).toEqual(["inference", "inference from a graph", "training"])
  for (const { code, kernels, limit } of all) {
    // A lower bound, because a failed bundle would be small.
    expect(code).toBeGreaterThan(1024)
    expect(kernels).toBeGreaterThan(10 * 1024)
    expect(code + kernels).toBeLessThanOrEqual(limit)
  }
})

test("inference bundles contain no training code, no bundle contains reference kernels, and the smallest contains neither compiler nor Effect", async () => {
  const trains = /policies\/|train\/(initialize|learning-rate|similarity)|initializers/
  expect((await modulesOf("training.ts")).some((path) => trains.test(path))).toBe(true)
  expect((await modulesOf("graph.ts")).filter((path) => trains.test(path))).toEqual([])
  for (const entry of ["graph.ts", "training.ts"])
    expect((await modulesOf(entry)).filter((path) => path.endsWith("core/src/references.ts"))).toEqual([])
  expect((await modulesOf("inference.ts")).filter((path) => /effect\/|program\/|ops\//.test(path))).toEqual([])
})

test("a network of LIF neurons bundles no other neurons", async () => {
  const others = (path: string) =>
    /neurons\//.test(path) && !/neurons\/(define|leaky|leaky-readout|lif|plif|reset)\.ts$/.test(path)
  for (const entry of ["graph.ts", "training.ts"]) {
    const modules = await modulesOf(entry)
    expect(modules.some((path) => path.endsWith("neurons/lif.ts"))).toBe(true)
    expect(modules.filter(others)).toEqual([])
  }
})

test("the documented sizes are accurate to 10 %", async () => {
  const page = readFileSync(join(repository, "docs/deployment.md"), "utf8")
  for (const { path, code, kernels } of await sizes()) {
    const row =
      page
        .match(new RegExp(`^\\| ${path} +\\|(.*)\\|$`, "m"))?.[1]
        ?.split("|")
        .map(Number) ?? []
    for (const [i, bytes] of [code, kernels, code + kernels].entries())
      expect(Math.abs((1024 * (row[i] ?? Number.NaN)) / bytes - 1)).toBeLessThan(0.1)
  }
})
