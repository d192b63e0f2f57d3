import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { repository } from "../src/project.ts"
import { modulesOf, sizes } from "../src/sizes/sizes.ts"

test("the paths of inference and training are no larger than they may be", async () => {
  const all = await sizes()
  expect(all.map(({ path }) => path)).toEqual(["inference", "inference from a graph", "training"])
  for (const { code, kernels, limit } of all) {
    // The smallest of kernels and code that could be right: a bundle that failed is no small bundle.
    expect(code).toBeGreaterThan(1024)
    expect(kernels).toBeGreaterThan(10 * 1024)
    expect(code + kernels).toBeLessThanOrEqual(limit)
  }
})

test("the paths of inference hold nothing that trains, none a reference implementation, the smaller one neither compiler nor Effect", async () => {
  const trains = /policies\/|train\/(initialize|learning-rate|similarity)|initializers/
  expect((await modulesOf("training.ts")).some((path) => trains.test(path))).toBe(true)
  expect((await modulesOf("graph.ts")).filter((path) => trains.test(path))).toEqual([])
  for (const entry of ["graph.ts", "training.ts"])
    expect((await modulesOf(entry)).filter((path) => path.endsWith("core/src/references.ts"))).toEqual([])
  expect((await modulesOf("inference.ts")).filter((path) => /effect\/|program\/|ops\//.test(path))).toEqual([])
})

test("a network of LIF neurons brings no other neurons with it", async () => {
  const others = (path: string) =>
    /neurons\//.test(path) && !/neurons\/(define|leaky|leaky-readout|lif|plif|reset)\.ts$/.test(path)
  for (const entry of ["graph.ts", "training.ts"]) {
    const modules = await modulesOf(entry)
    expect(modules.some((path) => path.endsWith("neurons/lif.ts"))).toBe(true)
    expect(modules.filter(others)).toEqual([])
  }
})

test("the documented sizes are right to a tenth", async () => {
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
