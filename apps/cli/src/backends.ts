/** The backends of the command line, one line each. Each is imported on first use. */
import type { Backend, BackendUnavailableError, OptionError } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { say } from "./terminal.ts"

/** `threads`: threads of the CPU kernels; by default, one per processor. */
type Load = (threads: number | undefined) => Promise<Layer.Layer<Backend, BackendUnavailableError | OptionError>>

const onBuild = () => Effect.runSync(say("building the native kernels (once)…"))

const backends: Readonly<Record<string, Load>> = {
  reference: async () => (await import("@spikeroute/backend-reference")).layer,
  "tfjs-cpu": async () => (await import("@spikeroute/backend-tfjs")).cpu,
  "tfjs-wasm": async () => (await import("@spikeroute/backend-tfjs")).wasm,
  "tfjs-webgpu": async () => (await import("@spikeroute/backend-tfjs")).webgpu,
  webgpu: async () => (await import("@spikeroute/backend-webgpu")).layer,
  wasm: async (threads) => (await import("@spikeroute/backend-wasm")).layer({ ...(threads && { threads }) }),
  native: async (threads) =>
    (await import("@spikeroute/backend-native")).layer({ onBuild, ...(threads && { threads }) }),
}

export const backendNames: ReadonlyArray<string> = Object.keys(backends)

/** The backend with a name from {@link backendNames}. */
export const backendLayer = (
  name: string,
  threads?: number,
): Layer.Layer<Backend, BackendUnavailableError | OptionError> =>
  Layer.unwrap(Effect.promise(() => (backends[name] as Load)(threads)))

/** The default backend: native if its library has been built or can be built, otherwise WebAssembly. */
export const defaultBackend: Effect.Effect<string> = Layer.build(backendLayer("native")).pipe(
  Effect.scoped,
  Effect.as("native"),
  Effect.catch(() => Effect.succeed("wasm")),
)
