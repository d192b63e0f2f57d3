/**
 * The WebAssembly backend: the CPU kernels with 128-bit vectors, everywhere where WebAssembly has SIMD.
 *
 * {@link layer} loads the modules beside it and uses threads where memory can be shared. edge.ts takes a module that is compiled
 * already, and infer.ts runs program files on one, without the compiler.
 */
import { fromEngine } from "@spikeroute/backend-kernels"
import { Backend, type BackendUnavailableError } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { single, unavailable } from "./edge.ts"
import { engineOf, instantiate, memoryOf } from "./engine.ts"
import { startThreads } from "./threads.ts"

export { fromModule } from "./edge.ts"

export interface WasmOptions {
  /** Threads, the caller's included. Default: as many as the machine runs at once. Results do not depend on it. */
  readonly threads?: number
}

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

const openThreads = async (threads: number): Promise<Open> => {
  const module = await compile(urls.threads())
  const instance = instantiate(module, memoryOf({}, true))
  return { close: await startThreads(instance, module, threads), backend: fromEngine(engineOf(instance, threads)) }
}

/** MAX_THREADS of the kernels' runtime.h. */
const maximumThreads = 256

/** As many threads as the machine runs at once. Node has a `navigator` since version 21. */
const processors = async (): Promise<number> =>
  globalThis.navigator?.hardwareConcurrency ?? (await import("node:os")).availableParallelism()

const open = async ({ threads: wanted }: WasmOptions): Promise<Open> => {
  const threads = Math.min(wanted ?? (await processors()), maximumThreads)
  if (threads > 1 && typeof SharedArrayBuffer === "function") {
    try {
      return await openThreads(threads)
    } catch {
      // Memory cannot be shared or workers cannot be started here: one thread gives the same results.
    }
  }
  return { backend: single(await compile(urls.single())), close: () => {} }
}

/** The backend as a layer. Its threads end with the layer. */
export const layer = (options: WasmOptions = {}): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.effect(
    Backend,
    Effect.acquireRelease(Effect.tryPromise({ try: () => open(options), catch: unavailable }), ({ close }) =>
      Effect.sync(close),
    ).pipe(Effect.map(({ backend }) => backend)),
  )
