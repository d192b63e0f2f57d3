/** The ways to run the native backend that tests hold against each other, none where there is no compiler. */
import { build, layer, type NativeOptions } from "../src/index.ts"

export { layer }

/** Why the library cannot be built here, if it cannot. */
export const unavailable: string | undefined = await build().then(
  () => undefined,
  (error: unknown) => String(error),
)

/** Every width of vectors, as far as the processor has them, on different numbers of threads. */
const all: ReadonlyArray<readonly [name: string, options: NativeOptions]> = [
  ["16-byte vectors on 1 thread", { vectorBytes: 16, threads: 1 }],
  ["32-byte vectors on 2 threads", { vectorBytes: 32, threads: 2 }],
  ["64-byte vectors on 3 threads", { vectorBytes: 64, threads: 3 }],
]

export const configurations = unavailable === undefined ? all : []
