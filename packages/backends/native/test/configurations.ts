/** The configurations of the native backend under test; none without a compiler. */
import { afterAll } from "bun:test"
import { ManagedRuntime } from "effect"
import { build, layer, type NativeOptions } from "../src/index.ts"

/** Why the library cannot be built here; undefined if it can. */
export const unavailable: string | undefined = await build().then(
  () => undefined,
  (error: unknown) => String(error),
)

/** All vector widths, up to the processor's, with different numbers of threads. */
const all: ReadonlyArray<Required<Pick<NativeOptions, "threads" | "vectorBytes">>> = [
  { vectorBytes: 16, threads: 1 },
  { vectorBytes: 32, threads: 2 },
  { vectorBytes: 64, threads: 3 },
]

/** The configurations, loaded once per test file. */
export const configurations = () =>
  (unavailable === undefined ? all : []).map((options) => {
    const runtime = ManagedRuntime.make(layer(options))
    afterAll(() => runtime.dispose())
    return {
      name: `native with ${options.vectorBytes}-byte vectors, ${options.threads} threads`,
      run: runtime.runPromise,
    }
  })
