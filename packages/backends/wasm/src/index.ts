/**
 * The WebAssembly backend: the CPU kernels with 128-bit vectors, everywhere where WebAssembly has SIMD.
 *
 * {@link layer} loads the modules beside it and uses threads where memory can be shared. {@link fromModule} takes a module that is
 * compiled already: it needs no file, no worker and no compiling from bytes, as at the edge.
 */
import { fromEngine } from "@spikeroute/backend-kernels"
import { Backend, BackendUnavailableError } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { engineOf, instantiate } from "./engine.ts"
import { startThreads } from "./threads.ts"

export interface WasmOptions {
  /** Threads, the caller's included. Default: as many as the machine runs at once. Results do not depend on it. */
  readonly threads?: number
}

const name = "wasm"
/** Pages of memory to begin with, and at most. */
const initial = 64
const maximum = 65536

/** The modules. Their addresses are written out, so that bundlers see the files and lay them beside the code. */
const urls = {
  single: () => new URL("../built/spikeroute.wasm", import.meta.url),
  threads: () => new URL("../built/spikeroute-threads.wasm", import.meta.url),
} as const

const read = async (url: URL): Promise<Uint8Array<ArrayBuffer>> => {
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises")
    return new Uint8Array(await readFile(url))
  }
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} cannot be loaded: ${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

const compile = async (url: URL): Promise<WebAssembly.Module> => {
  const bytes = await read(url)
  if (!WebAssembly.validate(bytes)) throw new Error("this runtime's WebAssembly has no SIMD")
  return WebAssembly.compile(bytes)
}

/** A backend, and what ends its threads. */
interface Open {
  readonly backend: Backend["Service"]
  readonly close: () => void
}

const openSingle = (module: WebAssembly.Module): Open => ({
  backend: fromEngine(engineOf(instantiate(module, new WebAssembly.Memory({ initial })), 1)),
  close: () => {},
})

const openThreads = async (threads: number): Promise<Open> => {
  const module = await compile(urls.threads())
  const instance = instantiate(module, new WebAssembly.Memory({ initial, maximum, shared: true }))
  return { close: await startThreads(instance, module, threads), backend: fromEngine(engineOf(instance, threads)) }
}

const open = async ({ threads = navigator.hardwareConcurrency }: WasmOptions): Promise<Open> => {
  if (threads > 1 && typeof SharedArrayBuffer === "function") {
    try {
      return await openThreads(threads)
    } catch {
      // Memory cannot be shared or workers cannot be started here: one thread gives the same results.
    }
  }
  return openSingle(await compile(urls.single()))
}

const unavailable = (error: unknown) =>
  new BackendUnavailableError({ backend: name, reason: error instanceof Error ? error.message : String(error) })

/** The backend as a layer. Its threads end with the layer. */
export const layer = (options: WasmOptions = {}): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.effect(
    Backend,
    Effect.acquireRelease(Effect.tryPromise({ try: () => open(options), catch: unavailable }), ({ close }) =>
      Effect.sync(close),
    ).pipe(Effect.map(({ backend }) => backend)),
  )

/** The backend on one thread, from the compiled module `@spikeroute/backend-wasm/spikeroute.wasm`. */
export const fromModule = (module: WebAssembly.Module): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.effect(Backend, Effect.try({ try: () => openSingle(module).backend, catch: unavailable }))
