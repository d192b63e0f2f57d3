/** The engine on a loaded native library. */
import { totalmem } from "node:os"
import process from "node:process"
import { type Engine, maximumArenaBytes } from "@spikeroute/backend-kernels"
import type { Library } from "./library.ts"
import { canDetach, Views } from "./views.ts"

/** This backend's name. */
export const name = "native"

/** Memory available to this process, in bytes. */
const machineBytes = (): number => Math.min(totalmem(), process.constrainedMemory?.() || totalmem())

/** The engine of the native backend. */
export const engineOf = (library: Library, threads: number, widest: number): Engine => ({
  name,
  description: `${process.arch}, ${library.vectorBytes(widest) * 8}-bit vectors, ${threads} thread${threads === 1 ? "" : "s"}`,
  availableBytes: () => Math.min(machineBytes(), maximumArenaBytes),
  open: (program) => {
    const session = library.open(program, program.length, threads, widest)
    if (session < 0) return session
    const views = new Views((offset, bytes) => library.view(session, offset, bytes))
    return {
      words: (offset, count) => views.words(offset, count),
      lends: canDetach,
      bytes: library.bytes(session),
      run: (calls) => library.run(session, calls, calls.length / 2),
      isFinite: (buffer) => library.isFinite(session, buffer) === 1,
      close: () => {
        // If a view could not be detached, the memory is not freed: reading freed memory would crash the process.
        if (views.detach()) library.close(session)
      },
    }
  },
})
