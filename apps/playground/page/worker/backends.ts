/** The backends that the page offers; the first is the default. */
import { layer as wasm } from "@spikeroute/backend-wasm"
import { Gpu, layer as webgpu } from "@spikeroute/backend-webgpu"
import type { Backend, BackendUnavailableError, OptionError } from "@spikeroute/core"
import { Effect, type Layer } from "effect"

interface Choice {
  readonly label: string
  /** Whether it is available here, and a note for the user. */
  readonly found: Effect.Effect<{ readonly available: boolean; readonly note: string }>
  readonly layer: () => Layer.Layer<Backend, BackendUnavailableError | OptionError>
}

/** More threads than this are slower for networks of this size. */
const mostThreads = 4

export const backends: Readonly<Record<string, Choice>> = {
  wasm: {
    label: "WebAssembly",
    found: Effect.succeed({ available: true, note: "on the processor" }),
    layer: () => wasm({ threads: Math.min(navigator.hardwareConcurrency, mostThreads) }),
  },
  webgpu: {
    label: "WebGPU",
    found: Effect.match(Gpu.findAdapter, {
      onSuccess: (adapter) => ({
        available: true,
        note: Gpu.info(adapter).software ? "in software, without a GPU: slow" : "on the GPU",
      }),
      onFailure: ({ message }) => ({ available: false, note: message }),
    }),
    layer: () => webgpu,
  },
}
