/**
 * Loads and compiles the kernels' module: for servers, web pages and packages on JSR, where no bundler or runtime provides
 * `@spikeroute/backend-wasm/spikeroute.wasm` as a compiled module. Edge functions cannot compile, so they import that file.
 *
 * @example
 * import { load } from "@spikeroute/backend-wasm/infer"
 * import { loadModule } from "@spikeroute/backend-wasm/module"
 *
 * const model = load(await loadModule(), file)
 * const { classes } = model.predict(frames)
 */

import { compile } from "./compile.ts"

/** The single-threaded module, for `load` and `fromModule`. Rejects if the file cannot be read or the runtime has no SIMD. */
export const loadModule = (): Promise<WebAssembly.Module> =>
  compile(new URL("../built/spikeroute.wasm", import.meta.url))
