/** The ways to run the native backend that tests hold against each other; none where there is no compiler. */
import { afterAll } from "bun:test"
import { ManagedRuntime } from "effect"
import { build, layer, type NativeOptions } from "../src/index.ts"

/** Why the library cannot be built here, if it cannot. */
export const unavailable: string | undefined = await build().then(
  () => undefined,
  (error: unknown) => String(error),
)

/** Every width of vectors, as far as the processor has them, on different numbers of threads. */
const all: ReadonlyArray<Required<Pick<NativeOptions, "threads" | "vectorBytes">>> = [
  { vectorBytes: 16, threads: 1 },
  { vectorBytes: 32, threads: 2 },
  { vectorBytes: 64, threads: 3 },
]

/** Loaded once for a file of tests. */
export const configurations = () =>
  (unavailable === undefined ? all : []).map((options) => {
    const runtime = ManagedRuntime.make(layer(options))
    afterAll(() => runtime.dispose())
    return {
      name: `native with ${options.vectorBytes}-byte vectors, ${options.threads} threads`,
      run: runtime.runPromise,
    }
  })
