/** The backend that is used where none is given. */
import type { Backend, BackendUnavailableError, OptionError } from "@spikeroute/core"
import { Effect, Layer } from "effect"

type BackendLayer = Layer.Layer<Backend, BackendUnavailableError | OptionError>

/** Bundlers leave this import alone: it is there only where the package is installed. */
const native = "@spikeroute/backend-native"

const wasm: BackendLayer = Layer.unwrap(Effect.promise(async () => (await import("@spikeroute/backend-wasm")).layer()))

/** Native code where its package is installed and a compiler is there, else WebAssembly with as many threads as may be. */
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
