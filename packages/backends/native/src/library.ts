/** The native library, loaded through the foreign functions of the runtime: bun:ffi, Deno.dlopen, or koffi under Node. */

/** What c/library.c exports. */
export interface Library {
  readonly vectorBytes: (widest: number) => number
  readonly start: (threads: number) => number
  readonly open: (program: Int32Array, words: number, threads: number, widest: number) => number
  /** The arena's bytes, as they are; they end with the session. */
  readonly arena: (session: number, bytes: number) => ArrayBuffer
  readonly bytes: (session: number) => number
  readonly run: (session: number, calls: Int32Array, count: number) => number
  readonly close: (session: number) => void
}

/** Loads the library at a path. */
export const load = (path: string): Promise<Library> => {
  if ("Bun" in globalThis) return loadWithBun(path)
  if ("Deno" in globalThis) return loadWithDeno(path)
  return loadWithKoffi(path)
}

const loadWithBun = async (path: string): Promise<Library> => {
  const { dlopen, toArrayBuffer } = await import("bun:ffi")
  const { symbols } = dlopen(path, {
    spikeroute_vector_bytes: { args: ["i32"], returns: "i32" },
    spikeroute_start: { args: ["i32"], returns: "i32" },
    spikeroute_open: { args: ["ptr", "f64", "i32", "i32"], returns: "f64" },
    spikeroute_arena: { args: ["i32"], returns: "ptr" },
    spikeroute_bytes: { args: ["i32"], returns: "f64" },
    spikeroute_run: { args: ["i32", "ptr", "i32"], returns: "i32" },
    spikeroute_close: { args: ["i32"], returns: "void" },
  })
  return {
    vectorBytes: symbols.spikeroute_vector_bytes,
    start: symbols.spikeroute_start,
    open: symbols.spikeroute_open,
    arena: (session, bytes) => {
      const pointer = symbols.spikeroute_arena(session)
      if (pointer === null) throw new Error("the session is closed")
      return toArrayBuffer(pointer, 0, bytes)
    },
    bytes: symbols.spikeroute_bytes,
    run: symbols.spikeroute_run,
    close: symbols.spikeroute_close,
  }
}

/** The part of Deno's foreign functions that is used here. */
interface Deno {
  readonly dlopen: (
    path: string,
    symbols: Readonly<Record<string, { parameters: ReadonlyArray<string>; result: string }>>,
  ) => { readonly symbols: Readonly<Record<string, (...args: ReadonlyArray<unknown>) => never>> }
  readonly UnsafePointerView: { readonly getArrayBuffer: (pointer: unknown, bytes: number) => ArrayBuffer }
}

const loadWithDeno = async (path: string): Promise<Library> => {
  const { dlopen, UnsafePointerView } = (globalThis as unknown as { readonly Deno: Deno }).Deno
  const { symbols } = dlopen(path, {
    spikeroute_vector_bytes: { parameters: ["i32"], result: "i32" },
    spikeroute_start: { parameters: ["i32"], result: "i32" },
    spikeroute_open: { parameters: ["buffer", "f64", "i32", "i32"], result: "f64" },
    spikeroute_arena: { parameters: ["i32"], result: "pointer" },
    spikeroute_bytes: { parameters: ["i32"], result: "f64" },
    spikeroute_run: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    spikeroute_close: { parameters: ["i32"], result: "void" },
  })
  const call = (name: string) => symbols[`spikeroute_${name}`] as (...args: ReadonlyArray<unknown>) => never
  return {
    vectorBytes: call("vector_bytes"),
    start: call("start"),
    open: call("open"),
    arena: (session, bytes) => {
      const pointer = call("arena")(session)
      if (pointer === null) throw new Error("the session is closed")
      return UnsafePointerView.getArrayBuffer(pointer, bytes)
    },
    bytes: call("bytes"),
    run: call("run"),
    close: call("close"),
  }
}

const loadWithKoffi = async (path: string): Promise<Library> => {
  const { default: koffi } = await import("koffi").catch(() => {
    throw new Error("Node calls native code through the package koffi, which is not installed")
  })
  const library = koffi.load(path)
  const arena = library.func("void *spikeroute_arena(int32_t session)")
  return {
    vectorBytes: library.func("int32_t spikeroute_vector_bytes(int32_t widest)"),
    start: library.func("int32_t spikeroute_start(int32_t threads)"),
    open: library.func("double spikeroute_open(int32_t *program, double words, int32_t threads, int32_t widest)"),
    arena: (session, bytes) => {
      const pointer = arena(session)
      if (pointer === null) throw new Error("the session is closed")
      return koffi.view(pointer, bytes)
    },
    bytes: library.func("double spikeroute_bytes(int32_t session)"),
    run: library.func("int32_t spikeroute_run(int32_t session, int32_t *calls, int32_t count)"),
    close: library.func("void spikeroute_close(int32_t session)"),
  }
}
