/** The backends that the page offers: a line for each, the first is taken until another is chosen. */
import { layer as wasm } from "@spikeroute/backend-wasm"
import { Gpu, layer as webgpu } from "@spikeroute/backend-webgpu"
import type { Backend, BackendUnavailableError, OptionError } from "@spikeroute/core"
import { Effect, type Layer } from "effect"

interface Choice {
  readonly label: string
  /** Whether it can be used here, and what a person should know of it. */
  readonly found: Effect.Effect<{ readonly available: boolean; readonly note: string }>
  readonly layer: () => Layer.Layer<Backend, BackendUnavailableError | OptionError>
}

/** More threads than this are slower on networks of this size. */
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
        note: Gpu.info(adapter).software ? "by software, there is no GPU: slow" : "on the GPU",
      }),
      onFailure: ({ message }) => ({ available: false, note: message }),
    }),
    layer: () => webgpu,
  },
}
