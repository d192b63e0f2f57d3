/**
 * The WebAssembly backend: the CPU kernels with 128-bit vectors. Runs wherever WebAssembly has SIMD.
 *
 * {@link layer} loads the modules of this package and uses threads if memory can be shared. edge.ts takes a compiled module, infer.ts runs
 * program files without the compiler, and module.ts compiles the module where no bundler or runtime does.
 */
import { fromEngine, maximumThreads } from "@spikeroute/backend-kernels"
import { Backend, type BackendUnavailableError, type OptionError, Options } from "@spikeroute/core"
import { Effect, Layer, Schema } from "effect"
import { compile } from "./compile.ts"
import { single, unavailable } from "./edge.ts"
import { engineOf, instantiate } from "./engine.ts"
import { loadModule } from "./module.ts"
import { startThreads } from "./threads.ts"

export { fromModule, MemorySchema } from "./edge.ts"

export interface WasmOptions {
  /** Number of threads including the caller's, 1 to 256. Default: the number of processors. Results do not depend on it. */
  readonly threads?: number
}

/** Schema of the layer's options. */
export const WasmSchema: Schema.Codec<WasmOptions> = Schema.Struct({
  threads: Schema.optionalKey(Options.whole(1, maximumThreads)),
})

/** A backend, and the function that ends its threads. */
interface Open {
  readonly backend: Backend["Service"]
  readonly close: () => void
}

const openThreads = async (threads: number): Promise<Open> => {
  // A literal URL, so that bundlers find the file and emit it next to the code.
  const module = await compile(new URL("../built/spikeroute-threads.wasm", import.meta.url))
  const instance = instantiate(module, {}, true)
  return { close: await startThreads(instance, module, threads), backend: fromEngine(engineOf(instance, threads)) }
}

/** Number of processors. Node has a `navigator` since version 21. */
const processors = async (): Promise<number> =>
  globalThis.navigator?.hardwareConcurrency ?? (await import("node:os")).availableParallelism()

const open = async ({ threads: wanted }: WasmOptions): Promise<Open> => {
  const threads = wanted ?? Math.min(await processors(), maximumThreads)
  if (threads > 1 && typeof SharedArrayBuffer === "function") {
    try {
      return await openThreads(threads)
    } catch {
      // Memory cannot be shared or workers cannot be started: one thread gives the same results.
    }
  }
  return { backend: single(await loadModule()), close: () => {} }
}

/**
 * The WebAssembly backend. Its threads end with the layer. Fails with BackendUnavailableError if the runtime has no SIMD, and with
 * OptionError if an option is out of range.
 */
export const layer = (options: WasmOptions = {}): Layer.Layer<Backend, BackendUnavailableError | OptionError> =>
  Layer.effect(
    Backend,
    Options.check("the WebAssembly backend", WasmSchema, options).pipe(
      Effect.andThen(
        Effect.acquireRelease(Effect.tryPromise({ try: () => open(options), catch: unavailable }), ({ close }) =>
          Effect.sync(close),
        ),
      ),
      Effect.map(({ backend }) => backend),
    ),
  )
