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

const openThreads = async (threads: number): Promise<Open> => {
  const module = await compile("spikeroute-threads.wasm")
  const instance = instantiate(module, memoryOf({}, true))
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
  return { backend: single(await compile("spikeroute.wasm")), close: () => {} }
}

/** The backend as a layer. Its threads end with the layer. */
export const layer = (options: WasmOptions = {}): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.effect(
    Backend,
    Effect.acquireRelease(Effect.tryPromise({ try: () => open(options), catch: unavailable }), ({ close }) =>
      Effect.sync(close),
    ).pipe(Effect.map(({ backend }) => backend)),
  )
