import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Report } from "../../packages/backends/wasm/test/portable/body.ts"
import { publicPackages } from "../../scripts/publishing.ts"
import { makeProject, output, type Project, repository } from "./project.ts"

const minute = 60_000
const packages = publicPackages(repository)
let project: Project

/** A program of the project: the portable test on every backend there is, in JavaScript that every runtime reads. */
const everywhere = `
import { run } from "./body.js"
import { Backend } from "@spikeroute/core"
import { layer as native } from "@spikeroute/backend-native"
import { layer as reference } from "@spikeroute/backend-reference"
import { cpu } from "@spikeroute/backend-tfjs"
import { layer as wasm } from "@spikeroute/backend-wasm"
import "@spikeroute/core/random"
import "@spikeroute/core/train"
import { datasets } from "@spikeroute/datasets"
import { Effect } from "effect"

if (!("mnist" in datasets)) throw new Error("the data sets are not there")
const layers = { wasm: wasm({ threads: 1 }), threads: wasm({ threads: 3 }), reference, native: native(), tfjs: cpu }
const attempt = async (layer) => {
  const { description } = await Effect.runPromise(Backend.pipe(Effect.provide(layer)))
  return { description, ...(await run(layer)) }
}
const reports = {}
for (const [name, layer] of Object.entries(layers)) reports[name] = await attempt(layer).catch((error) => String(error))
console.log(JSON.stringify(reports))
`

beforeAll(async () => {
  project = await makeProject()
  const { success } = await Bun.build({
    entrypoints: [join(repository, "packages/backends/wasm/test/portable/body.ts")],
    outdir: project.folder,
    packages: "external",
  })
  expect(success).toBe(true)
  await writeFile(join(project.folder, "everywhere.js"), everywhere)
}, minute)

afterAll(() => project.remove())

const deno = ["node", join(repository, "node_modules/deno/bin.cjs")]
const runtimes: Readonly<Record<string, ReadonlyArray<string>>> = {
  Bun: [process.execPath],
  Node: ["node"],
  Deno: [...deno, "run", "--no-lock", "--allow-all"],
}

type Reports = Readonly<Record<string, (Report & { readonly description: string }) | string>>

describe("the packages, installed from their tarballs, train, predict, save and load", () => {
  /** What the first runtime computed; the others are held to it. */
  let first: Report | undefined

  test.each(Object.entries(runtimes))(
    "under %s",
    async (runtime, command) => {
      const reports: Reports = JSON.parse(await output([...command, "everywhere.js"], project.folder))
      for (const [name, report] of Object.entries(reports)) {
        // Without a C compiler there is no native backend.
        if (name === "native" && String(report).includes("BackendUnavailableError")) continue
        if (typeof report === "string") throw new Error(`${name} under ${runtime}: ${report}`)
        expect(report.lastLoss).toBeLessThan(report.firstLoss / 3)
        if (name !== "wasm" && name !== "threads") continue
        expect(report.description).toBe(`WebAssembly, 128-bit vectors, ${name === "wasm" ? "1 thread" : "3 threads"}`)
        const { weights, predictions } = report
        first ??= report
        expect({ weights, predictions }).toEqual({ weights: first.weights, predictions: first.predictions })
      }
    },
    minute,
  )
})

test.each(packages.map(({ manifest }) => [manifest.name, manifest] as const))(
  "%s ships what it exports, its licence and README, and nothing for development",
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
  "declarations are found by compilers that know nothing of this repository",
  async () => {
    const specifiers = packages.flatMap(({ manifest: { name, exports } }) =>
      Object.keys(exports).flatMap((path) => (path.endsWith(".wasm") ? [] : [`${name}${path.slice(1)}`])),
    )
    const use = `
    import * as S from "@spikeroute/core"
    import { layer } from "@spikeroute/backend-wasm"
    import { type Effect, Layer } from "effect"
    ${specifiers.map((specifier, i) => `export * as module${i} from "${specifier}"`).join("\n")}
    export const graph: Effect.Effect<S.Graph.Graph, S.GraphError> = S.Graph.make([4], S.linear({ features: 2 }))
    export const backend: Layer.Layer<S.Backend, S.BackendUnavailableError> = layer({ threads: 2 })
    // @ts-expect-error a threshold is a number
    S.lif({ threshold: "1" })
  `
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
