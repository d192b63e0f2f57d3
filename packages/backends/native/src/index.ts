/**
 * The native backend: the CPU kernels compiled to machine code for x86-64 (SSE4.2, AVX2 or AVX-512, the widest that the processor supports)
 * and arm64.
 *
 * The system's C compiler builds them on first use: see {@link build}. Without a compiler, use the backend `wasm`, which runs the same
 * kernels; forward results are bit-identical.
 */
import { availableParallelism } from "node:os"
import { fromEngine, maximumThreads } from "@spikeroute/backend-kernels"
import { Backend, BackendUnavailableError, type OptionError, Options } from "@spikeroute/core"
import { Effect, Layer, Schema } from "effect"
import { build } from "./build.ts"
import { engineOf, name } from "./engine.ts"
import { load } from "./library.ts"

export { build } from "./build.ts"

export interface NativeOptions {
  /** Number of threads including the caller's, 1 to 256. Default: the number of processors. Results do not depend on it. */
  readonly threads?: number
  /** Maximum vector width in bytes, 16, 32 or 64. Default 64; the processor may support less. */
  readonly vectorBytes?: 16 | 32 | 64
  /** Called before the library is built, which takes several seconds. */
  readonly onBuild?: () => void
}

/** Schema of the layer's options. */
export const NativeSchema: Schema.Codec<NativeOptions> = Schema.Struct({
  threads: Schema.optionalKey(Options.whole(1, maximumThreads)),
  vectorBytes: Schema.optionalKey(Schema.Literals([16, 32, 64]).annotate({ expected: "16, 32 or 64" })),
  onBuild: Schema.optionalKey(
    Schema.declare((x): x is () => void => typeof x === "function", { expected: "a function" }),
  ),
})

const open = async ({ threads, vectorBytes = 64, onBuild }: NativeOptions) => {
  const library = await load(await build(onBuild))
  if (library.vectorBytes(vectorBytes) === 0) throw new Error("this processor lacks SSE4.2")
  const wanted = threads ?? Math.min(availableParallelism(), maximumThreads)
  return fromEngine(engineOf(library, library.start(wanted), vectorBytes))
}

/**
 * The native backend. Fails with BackendUnavailableError if there is neither a compiler nor a cached library, and with OptionError if an
 * option is out of range.
 */
export const layer = (options: NativeOptions = {}): Layer.Layer<Backend, BackendUnavailableError | OptionError> =>
  Layer.effect(
    Backend,
    Options.check("the native backend", NativeSchema, options).pipe(
      Effect.andThen(
        Effect.tryPromise({
          try: () => open(options),
          catch: (error) =>
            new BackendUnavailableError({
              backend: name,
              reason: error instanceof Error ? error.message : String(error),
            }),
        }),
      ),
    ),
  )
