import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { check, importsOf, type Package, violations } from "../scripts/import-rules.ts"

const repository = join(import.meta.dir, "..")

test("every import in the repository follows the rules", () => {
  const { files, found } = check(repository)
  expect(found).toEqual([])
  expect(files).toBeGreaterThan(0)
})

test("imports are found in every form, and nothing else is taken for one", () => {
  const source = [
    `import type { A } from "type"`,
    `import { a, type B } from 'value'`,
    `import "effect-only"`,
    `import {`,
    `  c,`,
    `} from "lines"`,
    `export type { D } from "type-export"`,
    `export * from "star"`,
    `const e = await import("dynamic")`,
    `type F = import("type-query").F`,
    `// import "comment"`,
    `/* from "block" */`,
    `const words = "from 'string'" + \`import "template"\` + Array.from("letters")`,
    `const quote = /["'\`]/.test(a)`,
    `export { g } from "after"`,
  ].join("\n")
  expect([...importsOf(source)].sort()).toEqual(
    ["after", "dynamic", "effect-only", "lines", "star", "type", "type-export", "type-query", "value"].sort(),
  )
})

describe("a violation is found", () => {
  const manifest = (
    name: string,
    dependencies: ReadonlyArray<string>,
    devDependencies: ReadonlyArray<string> = [],
  ) => ({
    name,
    dependencies: Object.fromEntries(dependencies.map((each) => [each, "1.0.0"])),
    devDependencies: Object.fromEntries(devDependencies.map((each) => [each, "1.0.0"])),
  })
  const core = "@spikeroute/core"
  const all: ReadonlyArray<Package> = [
    { folder: ".", manifest: manifest("spikeroute", [], ["typescript"]) },
    { folder: "packages/core", manifest: manifest(core, ["effect", "jsdom"], ["pngjs"]) },
    { folder: "packages/datasets", manifest: manifest("@spikeroute/datasets", [core, "effect"], ["fast-check"]) },
    { folder: "packages/backends/a", manifest: manifest("@spikeroute/backend-a", [core, "effect", "@spikeroute/cli"]) },
    {
      folder: "packages/backends/b",
      manifest: manifest("@spikeroute/backend-b", [core], ["@spikeroute/test-support"]),
    },
    { folder: "test/support", manifest: manifest("@spikeroute/test-support", []) },
    { folder: "packages/other", manifest: manifest("@spikeroute/other", []) },
    {
      folder: "apps/cli",
      manifest: manifest("@spikeroute/cli", [core, "@spikeroute/backend-a", "@effect/platform-node"]),
    },
  ]
  const from = (module: string) => `import type { X } from "${module}"`

  test.each([
    ["core imports a backend", "packages/core/src/x.ts", from("@spikeroute/backend-a")],
    ["core's tests import a backend", "packages/core/test/x.test.ts", from("@spikeroute/backend-a")],
    ["core imports from node:", "packages/core/src/x.ts", from("node:fs")],
    ["core imports a bare builtin", "packages/core/src/x.ts", from("fs")],
    ["core imports bun", "packages/core/src/x.ts", from("bun")],
    ["core imports bun:test in its sources", "packages/core/src/x.ts", from("bun:test")],
    ["core imports a DOM package", "packages/core/src/x.ts", from("jsdom")],
    ["core asks for process", "packages/core/src/x.ts", "export const cores = process.env.CORES"],
    ["core tests for a window", "packages/core/src/x.ts", `export const dom = typeof window !== "undefined"`],
    ["core asks globalThis for Bun", "packages/core/src/x.ts", "export const bun = globalThis.Bun"],
    ["core uses document in dead code", "packages/core/src/x.ts", "if (false) document.title"],
    ["a backend imports another", "packages/backends/a/src/x.ts", from("@spikeroute/backend-b")],
    ["a backend imports a dataset", "packages/backends/a/src/x.ts", from("@spikeroute/datasets")],
    ["a source imports what tests share", "packages/backends/b/src/x.ts", from("@spikeroute/test-support")],
    ["a package imports an app", "packages/backends/a/src/x.ts", from("@spikeroute/cli")],
    ["a dataset imports all of core", "packages/datasets/src/x.ts", from(core)],
    ["a dataset imports another part of core", "packages/datasets/src/x.ts", from(`${core}/testing`)],
    ["a package is reached by path", "apps/cli/src/x.ts", `await import("../../../packages/core/src/index.ts")`],
    ["a package is not declared", "packages/backends/b/src/x.ts", from("effect/Effect")],
    ["a source needs a devDependency", "packages/datasets/src/x.ts", from("fast-check")],
    ["platform-node's barrel", "apps/cli/src/x.ts", from("@effect/platform-node")],
    ["a package without a rule", "packages/other/src/x.ts", ""],
    ["a file that does not parse", "packages/core/src/x.ts", "export const = 1"],
  ])("%s", (_, path, source) => {
    expect(violations(path, source, all)).toHaveLength(1)
  })

  test.each([
    ["core imports effect", "packages/core/src/x.ts", from("effect/Schema")],
    ["core has its own window", "packages/core/src/x.ts", "export const width = (window: number) => window / 2"],
    [
      "core mentions process in a string",
      "packages/core/src/x.ts",
      `export const process_ = { process: "process" }.process // Bun`,
    ],
    ["core's tests use bun:test", "packages/core/test/x.test.ts", from("bun:test")],
    ["core imports itself", "packages/core/test/x.test.ts", from(`${core}/testing`)],
    ["a backend imports core", "packages/backends/a/src/x.ts", from(core)],
    ["a dataset draws random numbers", "packages/datasets/src/x.ts", from(`${core}/random`)],
    ["a test needs a devDependency", "packages/datasets/test/x.test.ts", from("fast-check")],
    ["a test finds a GPU", "packages/backends/b/test/x.test.ts", from("@spikeroute/test-support")],
    ["an app composes", "apps/cli/src/x.ts", from("@spikeroute/backend-a")],
    ["platform-node by subpath", "apps/cli/src/x.ts", from("@effect/platform-node/NodeRuntime")],
  ])("and none if %s", (_, path, source) => {
    expect(violations(path, source, all)).toEqual([])
  })
})
