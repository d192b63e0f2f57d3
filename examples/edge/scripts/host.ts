/** Runs the worker locally in workerd, through Miniflare, with a Durable Object whose storage is a folder. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { Miniflare } from "miniflare"

const compatibilityDate = "2026-07-01"

/** The path of the compiled kernels. */
export const kernels = fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))

/** The worker's bundled modules by name: the entry, and the module that it loads for learning. */
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

/**
 * A front worker that rejects malformed Host headers, as Cloudflare's servers do; workerd alone would fail with 500. It receives the
 * request's target as it was sent.
 */
const front = `export default {
  fetch: async (request, { WORKER }) => {
    const host = request.headers.get("host") ?? ""
    const base = /^[\\w.:[\\]-]+$/.test(host) ? URL.parse("http://" + host) : null
    const url = base && URL.parse(request.url.startsWith("/") ? base.origin + request.url : request.url)
    if (url) return WORKER.fetch(new Request(url, request))
    await request.body?.pipeTo(new WritableStream())
    return new Response("the path or the Host header is malformed\\n", { status: 400 })
  }
}`

export interface HostOptions {
  /** A program file. */
  readonly program: Uint8Array<ArrayBuffer>
  /** The folder for the Durable Object's storage. Without it, the weights are lost when the host stops. */
  readonly storage?: string
  readonly token?: string
  /** Text is passed to the worker unchanged. */
  readonly learningRate?: number | string
  readonly port?: number
  /** The bundle, if it has already been built. */
  readonly modules?: ReadonlyMap<string, Uint8Array<ArrayBuffer>>
}

/** A running worker. */
export interface Host {
  readonly url: URL
  /** The address of the runtime's inspector. */
  readonly inspector: URL
  readonly close: () => Promise<void>
}

/** Starts the worker and waits until it listens. */
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
    workers: [
      {
        name: "front",
        modules: [{ type: "ESModule", path: "front.js", contents: front }],
        serviceBindings: { WORKER: "worker" },
        unsafeDirectSockets: [{ host: "127.0.0.1", port, proxy: true }],
        compatibilityDate,
      },
      {
        name: "worker",
        modules: [
          ...scripts.map(([path, contents]) => ({ type: "ESModule" as const, path, contents })),
          { type: "CompiledWasm", path: "spikeroute.wasm", contents: new Uint8Array(await readFile(kernels)) },
          { type: "Data", path: "program.safetensors", contents: program },
        ],
        durableObjects: { NETWORK: { className: "Network", useSQLite: true } },
        bindings: {
          ...(token === undefined ? {} : { WRITE_TOKEN: token }),
          ...(learningRate === undefined ? {} : { LEARNING_RATE: String(learningRate) }),
        },
        compatibilityDate,
      },
    ],
    durableObjectsPersist: storage ?? false,
    inspectorPort: 0,
  })
  await miniflare.ready
  const url = await miniflare.unsafeGetDirectURL("front")
  return { url, inspector: await miniflare.getInspectorURL(), close: () => miniflare.dispose() }
}
