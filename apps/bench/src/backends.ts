/** The backends that are timed, with a number of threads where they have any. */
import type { Backend, BackendUnavailableError } from "@spikeroute/core"
import { Effect, Layer } from "effect"

type Load = (threads: number) => Promise<Layer.Layer<Backend, BackendUnavailableError>>

const backends: Readonly<Record<string, Load>> = {
  native: async (threads) => (await import("@spikeroute/backend-native")).layer({ threads }),
  wasm: async (threads) => (await import("@spikeroute/backend-wasm")).layer({ threads }),
  "tfjs-wasm": async (threads) => (await import("@spikeroute/backend-tfjs")).layer("tfjs-wasm", { threads }),
  reference: async () => (await import("@spikeroute/backend-reference")).layer,
}

export const backendNames: ReadonlyArray<string> = Object.keys(backends)

export const backendLayer = (name: string, threads: number): Layer.Layer<Backend, BackendUnavailableError> =>
  Layer.unwrap(Effect.promise(() => (backends[name] as Load)(threads)))
