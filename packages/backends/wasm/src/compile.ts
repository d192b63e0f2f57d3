/** Compiles WebAssembly modules from files or the web. */

const read = async (url: URL): Promise<Uint8Array<ArrayBuffer>> => {
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises")
    return new Uint8Array(await readFile(url))
  }
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} cannot be loaded: ${response.status} ${response.statusText}`)
  return new Uint8Array(await response.arrayBuffer())
}

/** Reads and compiles a module. Rejects if it cannot be read, or if the runtime has no SIMD. */
export const compile = async (url: URL): Promise<WebAssembly.Module> => {
  const bytes = await read(url)
  if (!WebAssembly.validate(bytes)) throw new Error("this runtime's WebAssembly has no SIMD")
  return WebAssembly.compile(bytes)
}
