/** The default backend. */
import { type Backend, BackendUnavailableError, type OptionError } from "@spikeroute/core"
import { Effect, Layer } from "effect"

type BackendLayer = Layer.Layer<Backend, BackendUnavailableError | OptionError>

/** Imports the package of a backend. */
type Load = () => Promise<{ readonly layer: () => BackendLayer }>

/** A variable, so that bundlers ignore the import: the package is optional. */
const native = "@spikeroute/backend-native"

const layerOf = (load: Load): BackendLayer =>
  Layer.unwrap(
    Effect.tryPromise({
      try: async () => (await load()).layer(),
      catch: () =>
        new BackendUnavailableError({
          backend: "wasm",
          reason: "its package is missing; install @spikeroute/backend-wasm, or give train.create another `backend`",
        }),
    }),
  )

/** The first of two backends if its package is installed and it runs, else the second. */
export const firstOf = (first: Load, second: Load): BackendLayer =>
  Layer.catchCause(layerOf(first), () => layerOf(second))

/** Native code if its package is installed and a compiler is available, else WebAssembly with as many threads as possible. */
export const best: BackendLayer = firstOf(
  () => ("document" in globalThis ? Promise.reject() : import(native)),
  () => import("@spikeroute/backend-wasm"),
)
