/** The default backend. */
import type { Backend, BackendUnavailableError, OptionError } from "@spikeroute/core"
import { Effect, Layer } from "effect"

type BackendLayer = Layer.Layer<Backend, BackendUnavailableError | OptionError>

/** A variable, so that bundlers ignore the import: the package is optional. */
const native = "@spikeroute/backend-native"

const wasm: BackendLayer = Layer.unwrap(Effect.promise(async () => (await import("@spikeroute/backend-wasm")).layer()))

/** Native code if its package is installed and a compiler is available, else WebAssembly with as many threads as possible. */
export const best: BackendLayer = Layer.unwrap(
  Effect.promise(async () => {
    if ("document" in globalThis) return wasm
    try {
      const { layer } = (await import(native)) as { readonly layer: () => BackendLayer }
      return Layer.catchCause(layer(), () => wasm)
    } catch {
      return wasm
    }
  }),
)
