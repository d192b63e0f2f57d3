/** The backends to time. */
import type { Backend, BackendUnavailableError, OptionError } from "@spikeroute/core"
import { Effect, Layer } from "effect"

interface Entry {
  /** Loads the backend; those without threads ignore `threads`. */
  readonly load: (threads: number) => Promise<Layer.Layer<Backend, BackendUnavailableError | OptionError>>
  /** The library that does the arithmetic, if it is not Spikeroute's own. */
  readonly peer?: string
}

const backends: Readonly<Record<string, Entry>> = {
  native: { load: async (threads) => (await import("@spikeroute/backend-native")).layer({ threads }) },
  wasm: { load: async (threads) => (await import("@spikeroute/backend-wasm")).layer({ threads }) },
  "tfjs-wasm": {
    load: async (threads) => (await import("@spikeroute/backend-tfjs")).layer("tfjs-wasm", { threads }),
    peer: "TensorFlow.js",
  },
  "tfjs-cpu": { load: async () => (await import("@spikeroute/backend-tfjs")).cpu, peer: "TensorFlow.js" },
  "tfjs-webgpu": { load: async () => (await import("@spikeroute/backend-tfjs")).webgpu, peer: "TensorFlow.js" },
  webgpu: { load: async () => (await import("@spikeroute/backend-webgpu")).layer },
  reference: { load: async () => (await import("@spikeroute/backend-reference")).layer },
}

export const backendNames: ReadonlyArray<string> = Object.keys(backends)

export const backendLayer = (
  name: string,
  threads: number,
): Layer.Layer<Backend, BackendUnavailableError | OptionError> =>
  Layer.unwrap(Effect.promise(() => (backends[name] as Entry).load(threads)))

/** The property `peer` of a backend's rows. */
export const peerOf = (name: string): { readonly peer?: string } => {
  const peer = backends[name]?.peer
  return peer === undefined ? {} : { peer }
}
