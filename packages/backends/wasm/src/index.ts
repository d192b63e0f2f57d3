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

const read = async (file: string): Promise<Uint8Array<ArrayBuffer>> => {
  const url = new URL(`../built/${file}`, import.meta.url)
  if (url.protocol !== "file:") return new Uint8Array(await (await fetch(url)).arrayBuffer())
  const { readFile } = await import("node:fs/promises")
  return new Uint8Array(await readFile(url))
}

const compile = async (file: string): Promise<WebAssembly.Module> => {
  const bytes = await read(file)
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
  const module = await compile("spikeroute-threads.wasm")
  const instance = instantiate(module, new WebAssembly.Memory({ initial, maximum, shared: true }))
  return { close: await startThreads(instance, module, threads), backend: fromEngine(engineOf(instance, threads)) }
}

/** As many threads as the machine runs at once. Node has a `navigator` since version 21. */
const processors = async (): Promise<number> =>
  globalThis.navigator?.hardwareConcurrency ?? (await import("node:os")).availableParallelism()

const open = async ({ threads: wanted }: WasmOptions): Promise<Open> => {
  const threads = wanted ?? (await processors())
  if (threads > 1 && typeof SharedArrayBuffer === "function") {
    try {
      return await openThreads(threads)
    } catch {
      // Memory cannot be shared or workers cannot be started here: one thread gives the same results.
    }
  }
  return openSingle(await compile("spikeroute.wasm"))
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
