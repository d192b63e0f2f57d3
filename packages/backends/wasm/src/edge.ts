/**
 * The single-threaded backend for edge functions, which have no files and no workers: the compiled module is passed in, and nothing happens
 * at import time.
 *
 * @example
 * import { fromModule } from "@spikeroute/backend-wasm/edge"
 * import kernels from "@spikeroute/backend-wasm/spikeroute.wasm"
 *
 * const trainer = Train.make(graph, Policy.sltt, options).pipe(Effect.provide(fromModule(kernels, { maximumBytes: 2 ** 26 })))
 */
import { fromEngine } from "@spikeroute/backend-kernels"
import { Backend, BackendUnavailableError, type OptionError, Options } from "@spikeroute/core"
import { Effect, Layer, Schema } from "effect"
import { engineOf, instantiate, leastBytes, type MemoryOptions, mostBytes } from "./engine.ts"

/** Wraps an error as BackendUnavailableError. */
export const unavailable = (error: unknown): BackendUnavailableError =>
  new BackendUnavailableError({ backend: "wasm", reason: error instanceof Error ? error.message : String(error) })

/** The backend on one thread. */
export const single = (module: WebAssembly.Module, options: MemoryOptions = {}): Backend["Service"] =>
  fromEngine(engineOf(instantiate(module, options), 1))

/** Schema of the options of {@link fromModule}. */
export const MemorySchema: Schema.Codec<MemoryOptions> = Schema.Struct({
  maximumBytes: Schema.optionalKey(Options.whole(leastBytes, mostBytes)),
})

/**
 * The backend on one thread. Fails with OptionError if an option is out of range.
 *
 * @param module the compiled module `@spikeroute/backend-wasm/spikeroute.wasm`
 * @param options `maximumBytes`: limit of memory, beyond which programs are refused; 4 MiB to 4 GiB, default 4 GiB
 */
export const fromModule = (
  module: WebAssembly.Module,
  options: MemoryOptions = {},
): Layer.Layer<Backend, BackendUnavailableError | OptionError> =>
  Layer.effect(
    Backend,
    Options.check("the WebAssembly backend", MemorySchema, options).pipe(
      Effect.andThen(Effect.try({ try: () => single(module, options), catch: unavailable })),
    ),
  )
