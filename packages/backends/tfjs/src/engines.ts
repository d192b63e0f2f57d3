/** The table of engines: a line for each. TensorFlow.js itself is loaded when a line's `load` runs. */
import { Engine, type EngineOptions } from "./engine.ts"

export interface LoadOptions {
  /** Threads of the WebAssembly engine. Default: as many as the machine runs at once. */
  readonly threads?: number
}

/** Loads an engine, or rejects with the reason why it cannot run here. */
type Load = (options: LoadOptions) => Promise<Engine>

const isNode = typeof process === "object" && typeof process.versions?.node === "string"

/** (module (func (result i32) i32.const 0 i8x16.splat i8x16.extract_lane_u 0)) */
const simd = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0],
  ...[10, 11, 1, 9, 0, 65, 0, 253, 15, 253, 22, 0, 11],
)

const cpu: Load = async () => {
  const core = await import("@tensorflow/tfjs-core")
  const { MathBackendCPU } = await import("@tensorflow/tfjs-backend-cpu")
  const backend = new MathBackendCPU()
  // Else the first tensor prints an advertisement.
  Object.assign(backend, { firstUse: false })
  return new Engine({
    name: "tfjs-cpu",
    registeredAs: "cpu",
    description: `TensorFlow.js ${core.version_core}, plain JavaScript, one thread`,
    backend,
    registry: core as unknown as EngineOptions["registry"],
  })
}

const wasm: Load = async ({ threads }) => {
  if (typeof WebAssembly !== "object") throw new Error("this runtime has no WebAssembly")
  if (!WebAssembly.validate(simd)) throw new Error("this runtime's WebAssembly has no SIMD")
  const core = await import("@tensorflow/tfjs-core")
  const tfjs = await import("@tensorflow/tfjs-backend-wasm")
  const { BackendWasm, getThreadsCount, setThreadsCount } = tfjs
  let backend: InstanceType<typeof BackendWasm>
  let note = ""
  if (isNode) {
    const { loadSingle, loadThreaded, processors } = await import("./threads.ts")
    const wanted = threads ?? processors()
    setThreadsCount(wanted)
    const module =
      wanted === 1
        ? await loadSingle()
        : await loadThreaded(wanted).catch((error: unknown) => {
            note = ` (threads cannot be used here: ${error})`
            return loadSingle()
          })
    backend = new BackendWasm(module as unknown as ConstructorParameters<typeof BackendWasm>[0])
  } else {
    if (threads !== undefined) setThreadsCount(threads)
    backend = (await core.findBackendFactory("wasm")()) as InstanceType<typeof BackendWasm>
  }
  const running = Math.max(1, getThreadsCount())
  return new Engine({
    name: "tfjs-wasm",
    registeredAs: "wasm",
    description: `TensorFlow.js ${tfjs.version_wasm}, WebAssembly with SIMD, ${running === 1 ? "one thread" : `${running} threads`}${note}`,
    backend,
    registry: core as unknown as EngineOptions["registry"],
    memory: (tensor) => backend.typedArrayFromHeap(tensor) as Float32Array,
  })
}

export const engines = { "tfjs-cpu": cpu, "tfjs-wasm": wasm } as const satisfies Record<string, Load>

export type EngineName = keyof typeof engines
