/**
 * The backend where a module comes compiled and there are no files and no workers, as in edge functions: one thread, nothing done
 * before it is asked for.
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

/** The error of a backend that could not be had. */
export const unavailable = (error: unknown): BackendUnavailableError =>
  new BackendUnavailableError({ backend: "wasm", reason: error instanceof Error ? error.message : String(error) })

/** The backend on one thread. */
export const single = (module: WebAssembly.Module, options: MemoryOptions = {}): Backend["Service"] =>
  fromEngine(engineOf(instantiate(module, options), 1))

/** The options of {@link fromModule}. */
export const MemorySchema: Schema.Codec<MemoryOptions> = Schema.Struct({
  maximumBytes: Schema.optionalKey(Options.whole(leastBytes, mostBytes)),
})

/**
 * The backend on one thread, from the compiled module `@spikeroute/backend-wasm/spikeroute.wasm`.
 *
 * @param options `maximumBytes` of memory, beyond which programs are refused, 4 MiB to 4 GiB; default 4 GiB
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
