/** Mutated files of every format: a subset of `bun run fuzz:files`, and a test of its fault detection. */
import { expect, test } from "bun:test"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"
import type { Format } from "../fuzz/format.ts"
import { modules, run } from "../fuzz/runner.ts"

for (const module of modules)
  test(`every mutated file yields valid data or one typed error: ${basename(module)} of ${module.split("/").at(-4)}`, async () => {
    const { formats } = (await import(module)) as { readonly formats: ReadonlyArray<Format> }
    const count = 15
    const outcomes = await run({ module, formats: formats.map(({ name }) => name), seed: 20230817, count })
    expect(outcomes.filter(({ outcome }) => outcome === "fault")).toEqual([])
    for (const { name } of formats) {
      const own = outcomes.filter(({ format }) => format === name)
      expect(own.map(({ number }) => number)).toEqual(Array.from({ length: count }, (_, number) => number))
      // The reader detects mutations: without any error, it would not have read the file.
      expect(own.some(({ outcome }) => outcome === "error")).toBe(true)
    }
  }, 300_000)

test("readers that crash, hang, damage files or fail with untyped errors are detected", async () => {
  const module = fileURLToPath(new URL("./misreaders.ts", import.meta.url))
  const { formats } = (await import(module)) as { readonly formats: ReadonlyArray<Format> }
  const names = formats.map(({ name }) => name)
  const outcomes = await run({ module, formats: names, seed: 1, count: 2, milliseconds: 1500 })
  expect(outcomes.map(({ format, number }) => [format, number])).toEqual(
    names.flatMap((name) => [0, 1].map((number) => [name, number])),
  )
  const found = (name: string) => outcomes.filter(({ format }) => format === name)
  expect(found("right").map(({ outcome }) => outcome)).toEqual(["right", "right"])
  expect(found("refused").map(({ outcome }) => outcome)).toEqual(["error", "error"])
  for (const name of names.slice(2))
    expect(found(name).map(({ outcome }) => [name, outcome])).toEqual([
      [name, "fault"],
      [name, "fault"],
    ])
  expect(found("escapes")[0]?.message).toContain("evil appeared")
  expect(found("hangs")[0]?.message).toContain("no end within")
}, 60_000)
