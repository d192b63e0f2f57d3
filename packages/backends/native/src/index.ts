/**
 * The native backend: the CPU kernels as machine code, for x86-64 (SSE4.2, AVX2 or AVX-512, whatever the processor has) and arm64.
 *
 * The system's C compiler builds them on first use; see build.ts. Where there is none, use the backend wasm: it runs the same
 * kernels and gives the same bits in the forward direction.
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
  /** Threads, the caller's included, 1 to 256. Default: as many as the machine runs at once. Results do not depend on it. */
  readonly threads?: number
  /** Vectors of at most so many bytes, where the processor has wider ones: 16, 32 or 64, which is the default. */
  readonly vectorBytes?: 16 | 32 | 64
  /** Told before the library is built, which takes a while. */
  readonly onBuild?: () => void
}

/** The options of the layer. */
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

/** The backend as a layer. It fails where there are neither a library built before nor a compiler, and where an option is out of its range. */
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
