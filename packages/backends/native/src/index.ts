/**
 * The native backend: the CPU kernels as machine code, for x86-64 (SSE4.2, AVX2 or AVX-512, whatever the processor has) and arm64.
 *
 * The system's C compiler builds them on first use; see build.ts. Where there is none, use the backend wasm: it runs the same
 * kernels and gives the same bits in the forward direction.
 */
import { availableParallelism } from "node:os"
import { arenaBytes, type Engine, fromEngine } from "@spikeroute/backend-kernels"
import { Backend, BackendUnavailableError } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { build } from "./build.ts"
import { type Library, load } from "./library.ts"

export { build } from "./build.ts"

export interface NativeOptions {
  /** Threads, the caller's included. Default: as many as the machine runs at once. Results do not depend on it. */
  readonly threads?: number
  /** Vectors of at most so many bytes, where the processor has wider ones: 16, 32 or 64. */
  readonly vectorBytes?: 16 | 32 | 64
  /** Told before the library is built, which takes a while. */
  readonly onBuild?: () => void
}

const name = "native"

const engineOf = (library: Library, threads: number, widest: number): Engine => ({
  name,
  description: `${process.arch}, ${library.vectorBytes(widest) * 8}-bit vectors, ${threads} thread${threads === 1 ? "" : "s"}`,
  open: (program) => {
    const session = library.open(program, program.length, threads, widest)
    if (session < 0) return session
    const bytes = library.bytes(session)
    const arena = new Uint8Array(library.arena(session, arenaBytes(program)))
    let closed = false
    return {
      arena: () => {
        if (closed) throw new Error("the session is closed")
        return arena
      },
      bytes,
      run: (calls) => library.run(session, calls, calls.length / 2),
      close: () => {
        closed = true
        library.close(session)
      },
    }
  },
})

const open = async ({ threads = availableParallelism(), vectorBytes = 64, onBuild }: NativeOptions) => {
  const library = await load(await build(onBuild))
  if (library.vectorBytes(vectorBytes) === 0) throw new Error("this processor lacks SSE4.2")
  return fromEngine(engineOf(library, library.start(threads), vectorBytes))
}

/** The backend as a layer. It fails where there are neither a library built before nor a compiler. */
export const layer = (options: NativeOptions = {}): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.effect(
    Backend,
    Effect.tryPromise({
      try: () => open(options),
      catch: (error) =>
        new BackendUnavailableError({ backend: name, reason: error instanceof Error ? error.message : String(error) }),
    }),
  )
