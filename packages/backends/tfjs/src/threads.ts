/**
 * Loads TensorFlow.js's WebAssembly module outside browsers: under Bun, Node and Deno.
 *
 * The package supports threads in browsers only, although its module needs no more than `require`, `process` and `Worker`. These are
 * passed as arguments, so that the module neither changes globals (it would replace `Worker` and listen for uncaught errors) nor limits
 * the threads to half of the processors.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import os from "node:os"
import { dirname, join } from "node:path"
import { compileFunction } from "node:vm"
import { Worker } from "node:worker_threads"

/** The parts of Emscripten's module that TensorFlow.js uses. */
export interface WasmModule {
  cwrap: (
    name: string,
    result: string | null,
    parameters: ReadonlyArray<string>,
  ) => (...values: Array<number>) => number
  tfjs?: Readonly<Record<string, (...values: Array<number>) => number>>
}

type Factory = (options: Readonly<Record<string, unknown>>) => Promise<WasmModule>

const require = createRequire(import.meta.url)

const folder = (): string => join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "wasm-out")

/** Workers that the module starts at once; it cannot wait for further ones later. */
export const workers = 8

/** Number of useful threads: beyond 4, waiting for each other outweighs the gain. */
export const processors = (): number => Math.min(4, os.availableParallelism())

/** Evaluates one of the package's Emscripten scripts with our own environment. */
const evaluate = (script: string, threads: number): Factory => {
  const file = join(folder(), script)
  // A function called with `new` may return any object. `ref` is disabled so that workers never keep the process alive.
  const startWorker = function startWorker() {
    const worker = new Worker(workerSource(), { eval: true })
    worker.unref()
    return Object.assign(worker, { ref: () => {} })
  }
  const [processor] = os.cpus()
  const surroundings: Readonly<Record<string, unknown>> = {
    os: { ...os, cpus: () => Array.from({ length: 2 * threads }, () => processor) },
    worker_threads: { Worker: startWorker },
  }
  const values = {
    require: (name: string): unknown => surroundings[name] ?? require(name),
    module: { exports: undefined as unknown },
    exports: {},
    __filename: file,
    __dirname: folder(),
    process: {
      versions: process.versions,
      argv: [],
      hrtime: process.hrtime.bind(process),
      on: () => {},
      listeners: () => [],
      removeListener: () => {},
    },
    global: { performance },
    Worker: startWorker,
  }
  compileFunction(readFileSync(file, "utf8"), Object.keys(values), { filename: file })(...Object.values(values))
  return values.module.exports as Factory
}

const workerSource = (): string => {
  const { wasmWorkerContents } = require(join(folder(), "tfjs-backend-wasm-threaded-simd.worker.js"))
  return (wasmWorkerContents as string).replaceAll("\n", "\\n")
}

/** Adds the functions that TensorFlow.js's own loader adds. */
const bridge = (module: WasmModule): WasmModule => {
  const numbers = (count: number): ReadonlyArray<string> => Array.from({ length: count }, () => "number")
  module.tfjs = {
    init: module.cwrap("init", null, []),
    initWithThreadsCount: module.cwrap("init_with_threads_count", null, numbers(1)),
    getThreadsCount: module.cwrap("get_threads_count", "number", []),
    registerTensor: module.cwrap("register_tensor", null, numbers(3)),
    disposeData: module.cwrap("dispose_data", null, numbers(1)),
    dispose: module.cwrap("dispose", null, []),
  }
  return module
}

/** The module with SIMD and threads. */
export const loadThreaded = async (threads: number): Promise<WasmModule> => {
  const script = "tfjs-backend-wasm-threaded-simd.js"
  const locateFile = (file: string): string => join(folder(), file)
  return bridge(await evaluate(script, threads)({ locateFile, mainScriptUrlOrBlob: locateFile(script) }))
}

/** The module with SIMD only. */
export const loadSingle = async (): Promise<WasmModule> => {
  const wasmBinary = readFileSync(join(folder(), "tfjs-backend-wasm-simd.wasm"))
  return bridge(await evaluate("tfjs-backend-wasm.js", 1)({ wasmBinary }))
}
