import { expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { backendNames } from "@spikeroute/cli/backends"
import { kernels } from "@spikeroute/core"
import { render } from "../features/render.ts"
import { caseNames, readResults } from "../features/results.ts"
import { backends, bookkeeping, ops } from "../features/subjects.ts"

const repository = new URL("../../../", import.meta.url)
const again = "run `bun run features`"

test("FEATURES.md matches its template and the conformance results", () => {
  const found = readFileSync(new URL("FEATURES.md", repository), "utf8")
  expect(found === render(readResults()), `FEATURES.md is stale: ${again}`).toBe(true)
})

test("the conformance results cover the current suite", () => {
  expect([...readResults().cases], `apps/bench/features/results.json is stale: ${again}`).toEqual([...caseNames()])
})

test("the results cover exactly the command line's backends", () => {
  const names = backends.map(({ name }) => name)
  expect(names.toSorted()).toEqual(backendNames.toSorted())
  expect(Object.keys(readResults().backends).filter((name) => !names.includes(name))).toEqual([])
})

test("every kernel belongs to an op of the table or to bookkeeping", () => {
  const known = new Set([...ops.flatMap((op) => op.kernels), ...bookkeeping])
  expect([...kernels.keys()].filter((name) => !known.has(name.split(".")[0] ?? ""))).toEqual([])
})

test("every statement about a runtime names an existing test", () => {
  for (const { runtimes } of backends)
    for (const { test } of Object.values(runtimes))
      if (test !== undefined) expect(existsSync(new URL(test, repository)), test).toBe(true)
})

test("a failing case appears in the tables", () => {
  const results = readResults()
  const failed = { "kernel conv2d.inputGradient": "wrong", "residual, frames, sltt": "wrong" }
  const changed = { ...results, backends: { ...results.backends, wasm: { failed } } }
  const rows = render(changed).split("\n")
  expect(rows.find((row) => row.startsWith("| conv2d"))).toContain("| ✓ ✗ ")
  expect(rows.find((row) => row.startsWith("| `Policy.sltt`") && row.includes("✗"))).toBeDefined()
  expect(rows.find((row) => row.startsWith("| `wasm`"))).toContain("all but 1")
})
