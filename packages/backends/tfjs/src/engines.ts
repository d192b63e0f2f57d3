/** The engines, by name. TensorFlow.js itself is imported only when an engine is loaded. */
import { Options } from "@spikeroute/core"
import { Schema } from "effect"
import { Balance } from "./balance.ts"
import { Engine, type EngineOptions } from "./engine.ts"

export interface LoadOptions {
  /** Threads of the WebAssembly engine, 1 to 8. Default: the number of processors, at most 4. */
  readonly threads?: number
}

/** Options of the layers. */
export const OptionsSchema: Schema.Codec<LoadOptions> = Schema.Struct({
  threads: Schema.optionalKey(Options.whole(1, 8)),
})

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
  // Suppresses the advertisement that the first tensor prints.
  Object.assign(backend, { firstUse: false })
  return new Engine({
    name: "tfjs-cpu",
    registeredAs: "cpu",
    description: `TensorFlow.js ${core.version_core}, plain JavaScript, one thread`,
    backend,
    ...(isNode ? { holds: { total: (await import("node:os")).totalmem() } } : {}),
    registry: core as unknown as EngineOptions["registry"],
  })
}

const wasm: Load = async ({ threads }) => {
  if (typeof WebAssembly !== "object") throw new Error("this runtime has no WebAssembly")
  if (!WebAssembly.validate(simd)) throw new Error("this runtime's WebAssembly has no SIMD")
  const core = await import("@tensorflow/tfjs-core")
  const tfjs = await import("@tensorflow/tfjs-backend-wasm")
  const { BackendWasm, getThreadsCount, setThreadsCount } = tfjs
  const registry = core as unknown as EngineOptions["registry"]
  const describe = (threads: number, note = ""): string =>
    `TensorFlow.js ${tfjs.version_wasm}, WebAssembly with SIMD, ${threads === 1 ? "one thread" : `${threads} threads`}${note}`
  const make = (backend: InstanceType<typeof BackendWasm>, note?: string): Engine =>
    new Engine({
      name: "tfjs-wasm",
      registeredAs: "wasm",
      description: describe(Math.max(1, getThreadsCount()), note),
      backend,
      // The maximum size of WebAssembly memory.
      holds: { total: 2 ** 32 - 65536 },
      registry,
      memory: (tensor) => backend.typedArrayFromHeap(tensor) as Float32Array,
    })

  if (!isNode) {
    if (threads !== undefined) setThreadsCount(threads)
    return make((await core.findBackendFactory("wasm")()) as InstanceType<typeof BackendWasm>)
  }
  const { loadSingle, loadThreaded, processors, workers } = await import("./threads.ts")
  // Deno's workers have no writable `location`, which the module's threads set: they would never become ready.
  const wanted = "Deno" in globalThis ? 1 : Math.min(workers, Math.max(1, threads ?? processors()))
  const start = (module: unknown): InstanceType<typeof BackendWasm> =>
    new BackendWasm(module as ConstructorParameters<typeof BackendWasm>[0])
  setThreadsCount(wanted)
  if (wanted === 1) return make(start(await loadSingle()))
  try {
    const module = await loadThreaded(wanted)
    const engine = make(start(module))
    engine.balance = new Balance({
      threads: wanted,
      raises: Math.floor(workers / (wanted - 1)) - 1,
      setThreads: (count) => void module.tfjs?.initWithThreadsCount?.(count),
      now: () => performance.now(),
    })
    return engine
  } catch (error) {
    return make(start(await loadSingle()), ` (threads cannot be used here: ${error})`)
  }
}

/** In a module of its own, which finds a GPU first. */
const webgpu: Load = async () => (await import("./gpu.ts")).loadGpu()

/** All engines by name. */
export const engines = { "tfjs-cpu": cpu, "tfjs-wasm": wasm, "tfjs-webgpu": webgpu } as const satisfies Record<
  string,
  Load
>

export type EngineName = keyof typeof engines
