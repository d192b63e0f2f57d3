/** The backends that the command line knows: a line for each. They are loaded when they are used. */
import type { Backend, BackendUnavailableError } from "@spikeroute/core"
import { Effect, Layer } from "effect"

type Load = () => Promise<Layer.Layer<Backend, BackendUnavailableError>>

const backends: Readonly<Record<string, Load>> = {
  reference: async () => (await import("@spikeroute/backend-reference")).layer,
  "tfjs-cpu": async () => (await import("@spikeroute/backend-tfjs")).cpu,
  "tfjs-wasm": async () => (await import("@spikeroute/backend-tfjs")).wasm,
}

export const backendNames: ReadonlyArray<string> = Object.keys(backends)

/** The backend of a name from {@link backendNames}. */
export const backendLayer = (name: string): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.unwrap(Effect.promise(backends[name] as Load))
