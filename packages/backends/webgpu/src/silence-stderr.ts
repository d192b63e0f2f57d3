/** Suppresses what native libraries print to the standard error. */

const standardError = 2
const writeOnly = 1

/** C functions to redirect a file descriptor, under Bun only. `dup2` is atomic: other threads may open files meanwhile. */
const descriptors = async () => {
  if (!("Bun" in globalThis) || process.platform === "win32") return undefined
  // Hidden in a variable: bundlers for browsers cannot resolve this module.
  const ffi = "bun:ffi"
  const { dlopen } = (await import(/* @vite-ignore */ ffi)) as typeof import("bun:ffi")
  const library = process.platform === "darwin" ? "libSystem.dylib" : "libc.so.6"
  const { symbols } = dlopen(library, {
    dup: { args: ["i32"], returns: "i32" },
    dup2: { args: ["i32", "i32"], returns: "i32" },
    open: { args: ["ptr", "i32"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  })
  return symbols
}

/** The descriptor belongs to the process, so bodies run one at a time. */
let last: Promise<unknown> = Promise.resolve()

/** Runs `body` and discards everything written to the standard error in the meantime. */
export const silenceStderr = <A>(body: () => Promise<A>): Promise<A> => {
  const run = () => silenced(body)
  const result = last.then(run, run)
  last = result
  return result
}

const silenced = async <A>(body: () => Promise<A>): Promise<A> => {
  const c = await descriptors().catch(() => undefined)
  const saved = c?.dup(standardError) ?? -1
  const nowhere = c?.open(new TextEncoder().encode("/dev/null\0"), writeOnly) ?? -1
  if (c === undefined || saved < 0 || nowhere < 0) return body()
  c.dup2(nowhere, standardError)
  c.close(nowhere)
  try {
    return await body()
  } finally {
    c.dup2(saved, standardError)
    c.close(saved)
  }
}
