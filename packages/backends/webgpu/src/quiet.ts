/** Keeps what native libraries print on the standard error out of a program's own output. */

const standardError = 2
const writeOnly = 1

/** The C functions that move a file descriptor, where the runtime can call any: Bun. Its threads may open files meanwhile; `dup2` is one step. */
const descriptors = async () => {
  if (!("Bun" in globalThis) || process.platform === "win32") return undefined
  // Bundlers for browsers do not know the name, so they must not see it.
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

/** The descriptor is the process's: one body at a time, lest the second save what the first has put in its place. */
let last: Promise<unknown> = Promise.resolve()

/** Runs `body`, and what is written to the standard error meanwhile goes nowhere. */
export const quietly = <A>(body: () => Promise<A>): Promise<A> => {
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
