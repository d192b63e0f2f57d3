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
import { Backend, BackendUnavailableError } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { engineOf, instantiate, type MemoryOptions, memoryOf } from "./engine.ts"

/** The error of a backend that could not be had. */
export const unavailable = (error: unknown): BackendUnavailableError =>
  new BackendUnavailableError({ backend: "wasm", reason: error instanceof Error ? error.message : String(error) })

/** The backend on one thread. */
export const single = (module: WebAssembly.Module, options: MemoryOptions = {}): Backend["Service"] =>
  fromEngine(engineOf(instantiate(module, memoryOf(options)), 1))

/**
 * The backend on one thread, from the compiled module `@spikeroute/backend-wasm/spikeroute.wasm`.
 *
 * @param options `maximumBytes` of memory, beyond which programs are refused; default 4 GiB
 */
export const fromModule = (
  module: WebAssembly.Module,
  options: MemoryOptions = {},
): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.effect(Backend, Effect.try({ try: () => single(module, options), catch: unavailable }))
