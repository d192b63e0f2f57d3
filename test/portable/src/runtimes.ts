/** The runtimes, and how each runs the portable test in a project with the packages installed. */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { deno } from "@spikeroute/publish-tools/deno"
import { missingChromium, openModule } from "@spikeroute/test-support"
import { Miniflare } from "miniflare"
import type { Report } from "./body.ts"
import { node22 } from "./node.ts"
import { output, repository } from "./project.ts"

/** The report of each backend, or its error. */
export type Reports = Readonly<Record<string, (Report & { readonly description: string }) | string>>

export interface Runtime {
  readonly name: string
  /** Why the runtime is not available, for the test's name; empty if it is. */
  readonly missing: string
  readonly run: (folder: string) => Promise<Reports>
  /** The output of the promise example, for runtimes with a command line. */
  readonly promises?: (folder: string) => Promise<string>
}

/** JavaScript that runs the test on each backend. */
const attempt = `
import { Backend } from "@spikeroute/core"
import { Effect } from "effect"
import { run } from "./body.js"

export const attempt = async (layers, kernels) => {
  const reports = {}
  for (const [name, layer] of Object.entries(layers)) {
    try {
      const { description } = await Effect.runPromise(Backend.pipe(Effect.provide(layer)))
      reports[name] = { description, ...(await run(layer, kernels)) }
    } catch (error) {
      reports[name] = String(error)
    }
  }
  return reports
}
`

/** Servers can use all packages. */
const server = `
import { layer as native } from "@spikeroute/backend-native"
import { layer as reference } from "@spikeroute/backend-reference"
import { cpu } from "@spikeroute/backend-tfjs"
import { layer as wasm } from "@spikeroute/backend-wasm"
import { loadModule } from "@spikeroute/backend-wasm/module"
import { datasets } from "@spikeroute/datasets"
import { attempt } from "./attempt.js"

if (!("mnist" in datasets)) throw new Error("the data sets are not there")
const layers = { wasm: wasm({ threads: 1 }), threads: wasm({ threads: 2 }), reference, native: native(), tfjs: cpu }
console.log(JSON.stringify(await attempt(layers, await loadModule())))
`

/** Pages load the WebAssembly modules of the package. */
const page = `
import { layer as wasm } from "@spikeroute/backend-wasm"
import { loadModule } from "@spikeroute/backend-wasm/module"
import { attempt } from "./attempt.js"

export const reports = async () => attempt({ wasm: wasm({ threads: 1 }), threads: wasm({ threads: 2 }) }, await loadModule())
`

/** Edge functions receive a compiled module. */
const edge = `
import { fromModule } from "@spikeroute/backend-wasm/edge"
import kernels from "@spikeroute/backend-wasm/spikeroute.wasm"
import { attempt } from "./attempt.js"

export default { fetch: async () => Response.json(await attempt({ wasm: fromModule(kernels) }, kernels)) }
`

/** Writes the programs into the project. */
export const writePrograms = async (folder: string): Promise<void> => {
  const programs = { "attempt.js": attempt, "server.js": server, "page.js": page, "edge.js": edge }
  for (const [name, source] of Object.entries(programs)) await writeFile(join(folder, name), source)
  const example = join(repository, "examples/promises.ts")
  for (const entry of [join(import.meta.dir, "body.ts"), example])
    await Bun.build({ entrypoints: [entry], outdir: folder, packages: "external" })
}

const command = (name: string, words: ReadonlyArray<string>): Runtime => ({
  name,
  missing: Bun.which(words[0] as string) === null ? ", which is not on the PATH" : "",
  run: async (folder) => JSON.parse(await output([...words, "server.js"], folder)),
  promises: (folder) => output([...words, "promises.js"], folder),
})

const chromium: Runtime = {
  name: "Chromium",
  missing: missingChromium,
  run: async (folder) => {
    const opened = await openModule(join(folder, "page.js"))
    try {
      return (await opened.call("reports")) as Reports
    } finally {
      await opened.close()
    }
  },
}

const workerd: Runtime = {
  name: "workerd",
  missing: "",
  run: async (folder) => {
    const { outputs } = await Bun.build({
      entrypoints: [join(folder, "edge.js")],
      plugins: [
        {
          name: "a module of WebAssembly stays a module",
          setup: (build) => {
            build.onResolve({ filter: /\.wasm$/ }, () => ({ path: "./spikeroute.wasm", external: true }))
          },
        },
      ],
    })
    const kernels = join(folder, "node_modules/@spikeroute/backend-wasm/built/spikeroute.wasm")
    const miniflare = new Miniflare({
      modules: [
        { type: "ESModule", path: "edge.js", contents: (await outputs[0]?.text()) ?? "" },
        { type: "CompiledWasm", path: "spikeroute.wasm", contents: new Uint8Array(await readFile(kernels)) },
      ],
      compatibilityDate: "2026-07-01",
    })
    try {
      return (await (await miniflare.dispatchFetch("http://edge/")).json()) as Reports
    } finally {
      await miniflare.dispose()
    }
  },
}

export const runtimes: ReadonlyArray<Runtime> = [
  command("Bun", [process.execPath]),
  command("Node of the PATH", ["node"]),
  command("Node 22", [node22]),
  command("Deno", [deno, "run", "--no-lock", "--allow-all"]),
  workerd,
  chromium,
]
