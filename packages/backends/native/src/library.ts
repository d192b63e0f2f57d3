/** The native library, loaded through the foreign functions of the runtime: bun:ffi, Deno.dlopen, or koffi under Node. */

/** What c/library.c exports. */
export interface Library {
  readonly vectorBytes: (widest: number) => number
  readonly start: (threads: number) => number
  readonly open: (program: Int32Array, words: number, threads: number, widest: number) => number
  /**
   * Bytes of the arena where they lie, from `offset` on; their memory ends with the session. A view for each buffer rather than one of
   * all: an ArrayBuffer ends at 2³² bytes in some runtimes, an arena does not.
   */
  readonly view: (session: number, offset: number, bytes: number) => ArrayBuffer
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

/** The pointer, which is null where there is no such session or place. */
const there = <A>(pointer: A | null): A => {
  if (pointer === null) throw new Error("the session is closed, or the place lies outside of its arena")
  return pointer
}

const loadWithBun = async (path: string): Promise<Library> => {
  const { dlopen, toArrayBuffer } = await import("bun:ffi")
  const { symbols } = dlopen(path, {
    spikeroute_vector_bytes: { args: ["i32"], returns: "i32" },
    spikeroute_start: { args: ["i32"], returns: "i32" },
    spikeroute_open: { args: ["ptr", "f64", "i32", "i32"], returns: "f64" },
    spikeroute_view: { args: ["i32", "f64", "f64"], returns: "ptr" },
    spikeroute_bytes: { args: ["i32"], returns: "f64" },
    spikeroute_run: { args: ["i32", "ptr", "i32"], returns: "i32" },
    spikeroute_close: { args: ["i32"], returns: "void" },
  })
  return {
    vectorBytes: symbols.spikeroute_vector_bytes,
    start: symbols.spikeroute_start,
    open: symbols.spikeroute_open,
    view: (session, offset, bytes) => toArrayBuffer(there(symbols.spikeroute_view(session, offset, bytes)), 0, bytes),
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
    spikeroute_view: { parameters: ["i32", "f64", "f64"], result: "pointer" },
    spikeroute_bytes: { parameters: ["i32"], result: "f64" },
    spikeroute_run: { parameters: ["i32", "buffer", "i32"], result: "i32" },
    spikeroute_close: { parameters: ["i32"], result: "void" },
  })
  const call = (name: string) => symbols[`spikeroute_${name}`] as (...args: ReadonlyArray<unknown>) => never
  return {
    vectorBytes: call("vector_bytes"),
    start: call("start"),
    open: call("open"),
    view: (session, offset, bytes) =>
      UnsafePointerView.getArrayBuffer(there(call("view")(session, offset, bytes)), bytes),
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
  const view = library.func("void *spikeroute_view(int32_t session, double offset, double bytes)")
  return {
    vectorBytes: library.func("int32_t spikeroute_vector_bytes(int32_t widest)"),
    start: library.func("int32_t spikeroute_start(int32_t threads)"),
    open: library.func("double spikeroute_open(int32_t *program, double words, int32_t threads, int32_t widest)"),
    view: (session, offset, bytes) => koffi.view(there(view(session, offset, bytes)), bytes),
    bytes: library.func("double spikeroute_bytes(int32_t session)"),
    run: library.func("int32_t spikeroute_run(int32_t session, int32_t *calls, int32_t count)"),
    close: library.func("void spikeroute_close(int32_t session)"),
  }
}
