/** The native library's functions. */
import { loadForeign } from "./foreign.ts"

/** The exports of c/library.c. */
export interface Library {
  readonly vectorBytes: (widest: number) => number
  readonly start: (threads: number) => number
  readonly open: (program: Int32Array, words: number, threads: number, widest: number) => number
  /**
   * A view of the arena from byte `offset`, valid until the session is closed. There is one view per buffer rather than one of the arena,
   * which may exceed the maximum ArrayBuffer of some runtimes, 2³² bytes.
   */
  readonly view: (session: number, offset: number, bytes: number) => ArrayBuffer
  readonly bytes: (session: number) => number
  readonly run: (session: number, calls: Int32Array, count: number) => number
  /** 1 or 0; −1 of a session that is closed or runs. */
  readonly isFinite: (session: number, buffer: number) => number
  readonly close: (session: number) => void
}

/** Loads the library from a path. */
export const load = async (path: string): Promise<Library> => {
  const { functions, view } = await loadForeign(path, "spikeroute_", {
    vector_bytes: ["i32", "i32"],
    start: ["i32", "i32"],
    open: ["f64", "array", "f64", "i32", "i32"],
    view: ["pointer", "i32", "f64", "f64"],
    bytes: ["f64", "i32"],
    run: ["i32", "i32", "array", "i32"],
    is_finite: ["i32", "i32", "i32"],
    close: ["void", "i32"],
  })
  return {
    ...functions,
    vectorBytes: functions.vector_bytes,
    isFinite: functions.is_finite,
    view: (session, offset, bytes) => {
      const address = functions.view(session, offset, bytes)
      if (!address) throw new Error("the session is closed, or the place lies outside of its arena")
      return view(address, bytes)
    },
  }
}
