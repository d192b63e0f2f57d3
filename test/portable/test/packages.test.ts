import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { publicPackages } from "@spikeroute/publish-tools"
import type { Report } from "../src/body.ts"
import { makeProject, output, type Project, repository } from "../src/project.ts"
import { runtimes, writePrograms } from "../src/runtimes.ts"

const minute = 60_000
const packages = await publicPackages(repository)
let project: Project

/** TypeScript as a user would write it, to check the declarations. */
const typed = `
import * as S from "@spikeroute/core"
import { layer } from "@spikeroute/backend-wasm"
import { type Effect, Layer } from "effect"

export const graph: Effect.Effect<S.Graph.Graph, S.GraphError> = S.Graph.make([4], S.linear({ features: 2 }))
export const backend: Layer.Layer<S.Backend, S.BackendUnavailableError | S.OptionError> = layer({ threads: 2 })
// @ts-expect-error a threshold is a number
S.lif({ threshold: "1" })
`

beforeAll(async () => {
  project = await makeProject()
  await writePrograms(project.folder)
}, minute)

afterAll(() => project?.remove())

describe("packages installed from their tarballs train, predict, save and load", () => {
  /** The first runtime's results, with which the others are compared. */
  let first: Report | undefined

  for (const { name: runtime, missing, run } of runtimes)
    test.skipIf(missing !== "")(
      `under ${runtime}${missing}`,
      async () => {
        for (const [name, report] of Object.entries(await run(project.folder))) {
          // Without a C compiler there is no native backend.
          if (name === "native" && String(report).includes("BackendUnavailableError")) continue
          if (typeof report === "string") throw new Error(`${name} under ${runtime}: ${report}`)
          expect(report.lastLoss).toBeLessThan(report.firstLoss / 3)
          expect(report.meanSteps).toBeWithin(1, 4)
          if (name !== "wasm" && name !== "threads") continue
          expect(report.description).toEndWith(name === "wasm" ? ", 1 thread" : ", 2 threads")
          // The compiled predictor and the program file run the same kernels in the same order.
          expect(report.answers).toBe(report.predictions)
          const { description: _, ...bits } = report
          first ??= bits
          expect(bits).toEqual(first)
        }
      },
      minute,
    )
})

for (const { name, missing, promises } of runtimes)
  if (promises !== undefined)
    test.skipIf(missing !== "")(
      `the promise example under ${name}${missing}`,
      async () => {
        expect(await promises(project.folder)).toMatch(/^(9\d|100) % of 90 others are right$/m)
      },
      minute,
    )

test.each(packages.map(({ manifest }) => [manifest.name, manifest] as const))(
  "%s ships its exports, licence and README, and no development files",
  async (name, { files = [] }) => {
    const shipped = project.contents.get(name) ?? []
    const manifest = JSON.parse(await readFile(join(project.folder, "node_modules", name, "package.json"), "utf8"))
    expect(shipped).toContain("LICENSE")
    expect(shipped).toContain("README.md")
    for (const target of Object.values(manifest.exports))
      for (const path of typeof target === "string" ? [target] : Object.values(target as object))
        expect(shipped).toContain(path.replace("./", ""))
    const folders = new Set(shipped.filter((path) => path.includes("/")).map((path) => path.split("/")[0]))
    expect([...folders].sort()).toEqual([...files, "lib"].sort())
    expect(shipped.filter((path) => path.startsWith("lib/") && !/\.(js|d\.ts)$/.test(path))).toEqual([])
    expect(JSON.stringify(manifest)).not.toContain("workspace:")
    expect(manifest.devDependencies).toBeUndefined()
  },
)

test(
  "a TypeScript compiler outside this repository finds the declarations",
  async () => {
    const specifiers = packages.flatMap(({ manifest: { name, exports } }) =>
      Object.keys(exports).flatMap((path) => (path.endsWith(".wasm") ? [] : [`${name}${path.slice(1)}`])),
    )
    const everything = specifiers.map((specifier, i) => `export * as module${i} from ${JSON.stringify(specifier)}\n`)
    const use = `${everything.join("")}${typed}`
    const compilerOptions = {
      module: "nodenext",
      strict: true,
      noEmit: true,
      target: "es2023",
      types: [],
      skipLibCheck: true,
    }
    await writeFile(join(project.folder, "use.ts"), use)
    await writeFile(join(project.folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }))
    await output([process.execPath, join(repository, "node_modules/typescript/bin/tsc")], project.folder)
  },
  minute,
)
