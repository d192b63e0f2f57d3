/** Runs the worker on this machine: workerd, under Miniflare, with a Durable Object whose storage is a folder. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { Miniflare } from "miniflare"

/** The file of the kernels. */
export const kernels = fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))

/** The modules of the worker by name, its JavaScript bundled: an entry, and what it loads when it is to learn. */
export const bundle = async (): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> => {
  const { outputs } = await Bun.build({
    entrypoints: [fileURLToPath(import.meta.resolve("../src/worker.ts"))],
    format: "esm",
    splitting: true,
    minify: true,
    naming: { entry: "worker.js", chunk: "[name]-[hash].js" },
    external: ["cloudflare:workers"],
    plugins: [
      {
        name: "modules that are no JavaScript lie beside the bundle",
        setup: (build) => {
          build.onResolve({ filter: /\.(wasm|safetensors)$/ }, ({ path }) => ({
            path: `./${path.split("/").at(-1)}`,
            external: true,
          }))
        },
      },
    ],
  })
  const files = await Promise.all(
    outputs.map(async (file) => [file.path.replace(/^\.\//, ""), new Uint8Array(await file.arrayBuffer())] as const),
  )
  return new Map(files)
}

export interface HostOptions {
  /** A program file. */
  readonly program: Uint8Array<ArrayBuffer>
  /** The folder of the Durable Object's storage; without it the weights are gone with the host. */
  readonly storage?: string
  readonly token?: string
  readonly learningRate?: number
  readonly port?: number
  /** The bundle, where it was made already. */
  readonly modules?: ReadonlyMap<string, Uint8Array<ArrayBuffer>>
}

/** A worker that is running. */
export interface Host {
  readonly url: URL
  /** Where the runtime's inspector listens. */
  readonly inspector: URL
  readonly close: () => Promise<void>
}

/** Starts the worker, and waits until it listens. */
export const start = async ({
  program,
  storage,
  token,
  learningRate,
  port = 0,
  modules,
}: HostOptions): Promise<Host> => {
  const scripts = [...(modules ?? (await bundle()))].sort(([name]) => (name === "worker.js" ? -1 : 1))
  const miniflare = new Miniflare({
    modules: [
      ...scripts.map(([path, contents]) => ({ type: "ESModule" as const, path, contents })),
      { type: "CompiledWasm", path: "spikeroute.wasm", contents: new Uint8Array(await readFile(kernels)) },
      { type: "Data", path: "program.safetensors", contents: program },
    ],
    compatibilityDate: "2026-07-01",
    durableObjects: { NETWORK: { className: "Network", useSQLite: true } },
    durableObjectsPersist: storage ?? false,
    bindings: {
      ...(token === undefined ? {} : { WRITE_TOKEN: token }),
      ...(learningRate === undefined ? {} : { LEARNING_RATE: String(learningRate) }),
    },
    host: "127.0.0.1",
    port,
    inspectorPort: 0,
  })
  const url = await miniflare.ready
  return { url, inspector: await miniflare.getInspectorURL(), close: () => miniflare.dispose() }
}
