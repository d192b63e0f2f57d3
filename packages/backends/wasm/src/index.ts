/**
 * The WebAssembly backend: the CPU kernels with 128-bit vectors, everywhere where WebAssembly has SIMD.
 *
 * {@link layer} loads the modules beside it and uses threads where memory can be shared. edge.ts takes a module that is compiled
 * already, infer.ts runs program files on one, without the compiler, and module.ts compiles it where nothing else does.
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
  /** Threads, the caller's included, 1 to 256. Default: as many as the machine runs at once. Results do not depend on it. */
  readonly threads?: number
}

/** The options of the layer. */
export const WasmSchema: Schema.Codec<WasmOptions> = Schema.Struct({
  threads: Schema.optionalKey(Options.whole(1, maximumThreads)),
})

/** A backend, and what ends its threads. */
interface Open {
  readonly backend: Backend["Service"]
  readonly close: () => void
}

const openThreads = async (threads: number): Promise<Open> => {
  // Its address is written out, so that bundlers see the file and lay it beside the code.
  const module = await compile(new URL("../built/spikeroute-threads.wasm", import.meta.url))
  const instance = instantiate(module, {}, true)
  return { close: await startThreads(instance, module, threads), backend: fromEngine(engineOf(instance, threads)) }
}

/** As many threads as the machine runs at once. Node has a `navigator` since version 21. */
const processors = async (): Promise<number> =>
  globalThis.navigator?.hardwareConcurrency ?? (await import("node:os")).availableParallelism()

const open = async ({ threads: wanted }: WasmOptions): Promise<Open> => {
  const threads = wanted ?? Math.min(await processors(), maximumThreads)
  if (threads > 1 && typeof SharedArrayBuffer === "function") {
    try {
      return await openThreads(threads)
    } catch {
      // Memory cannot be shared or workers cannot be started here: one thread gives the same results.
    }
  }
  return { backend: single(await loadModule()), close: () => {} }
}

/** The backend as a layer. Its threads end with the layer. It fails where there is no SIMD, and where an option is out of its range. */
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
