/** The backends that the page offers: a line for each, the first that is there is taken. */
import { layer as wasm } from "@spikeroute/backend-wasm"
import type { Backend, BackendUnavailableError } from "@spikeroute/core"
import type { Layer } from "effect"

interface Choice {
  readonly label: string
  /** Why it cannot be used here, if it cannot. */
  readonly missing?: () => Promise<string | undefined>
  readonly layer: () => Layer.Layer<Backend, BackendUnavailableError>
}

/** More threads than this are slower on networks of this size. */
const mostThreads = 4

export const backends: Readonly<Record<string, Choice>> = {
  wasm: {
    label: "WebAssembly",
    layer: () => wasm({ threads: Math.min(navigator.hardwareConcurrency, mostThreads) }),
  },
}
