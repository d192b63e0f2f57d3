/** The kernels of a loaded library as an engine. */
import { totalmem } from "node:os"
import process from "node:process"
import { type Engine, maximumArenaBytes } from "@spikeroute/backend-kernels"
import type { Library } from "./library.ts"
import { canDetach, Views } from "./views.ts"

/** This backend's name. */
export const name = "native"

/** Bytes of memory that there are for this process. */
const machineBytes = (): number => Math.min(totalmem(), process.constrainedMemory?.() || totalmem())

/** The engine that core's backend is made of. */
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
      close: () => {
        // Memory that others still reach stays: to read it would crash the process.
        if (views.detach()) library.close(session)
      },
    }
  },
})
