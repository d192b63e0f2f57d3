/**
 * The kernels' module, read from beside this one and compiled: for servers, and for pages and packages of JSR, where no bundler or
 * runtime gives `@spikeroute/backend-wasm/spikeroute.wasm` as a compiled module. Edge functions cannot compile: they import that.
 *
 * @example
 * import { load } from "@spikeroute/backend-wasm/infer"
 * import { loadModule } from "@spikeroute/backend-wasm/module"
 *
 * const model = load(await loadModule(), file)
 * const { classes } = model.predict(frames)
 */

import { compile } from "./compile.ts"

/** The kernels for one thread, as `load` and `fromModule` take them. Rejects where the file cannot be read or there is no SIMD. */
export const loadModule = (): Promise<WebAssembly.Module> =>
  compile(new URL("../built/spikeroute.wasm", import.meta.url))
