import { afterEach, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Backend, defaultLoss, flatten, Graph, Key, lif, linear, Optimizer, Policy, Train } from "@spikeroute/core"
import { Effect, type Layer } from "effect"
import { fromModule, layer } from "../src/index.ts"

const graph = Graph.makeUnsafe(
  [5, 5, 1],
  Graph.sequential(flatten(), linear({ features: 8 }), lif(), linear({ features: 2 })),
)

/** The outputs of one training step, and the backend's description. */
const trainOnce = (backend: Layer.Layer<Backend, unknown>) =>
  Effect.gen(function* () {
    const trainer = yield* Train.make(graph, Policy.sltt, {
      batchSize: 2,
      timeSteps: 3,
      loss: defaultLoss,
      optimizer: Optimizer.adam(),
      key: Key.make(0),
    })
    const batch = { inputs: new Float32Array(50).fill(0.7), labels: Float32Array.of(0, 1) }
    const { outputs } = yield* trainer.step(batch, { update: 1, learningRate: 1e-3 })
    return { outputs, description: (yield* Backend).description }
  }).pipe(Effect.scoped, Effect.provide(backend), Effect.runPromise)

const { Worker: originalWorker, SharedArrayBuffer: originalSharedArrayBuffer } = globalThis
const originalValidate = WebAssembly.validate
afterEach(() => {
  Object.assign(globalThis, { Worker: originalWorker, SharedArrayBuffer: originalSharedArrayBuffer })
  WebAssembly.validate = originalValidate
})

// Deno's workers do not report that they end.
test.skipIf("Deno" in globalThis)("all threads end with the layer", async () => {
  const workers: Array<Promise<void>> = []
  globalThis.Worker = class extends originalWorker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options)
      workers.push(new Promise((resolve) => this.addEventListener("close", () => resolve())))
    }
  }
  const { description } = await trainOnce(layer({ threads: 3 }))
  expect(description).toContain("3 threads")
  expect(workers.length).toBe(2)
  await Promise.all(workers)
})

test("a compiled module runs on one thread, bit-identical to the threaded one", async () => {
  const module = new WebAssembly.Module(readFileSync(new URL("../built/spikeroute.wasm", import.meta.url)))
  const single = await trainOnce(fromModule(module))
  expect(single.description).toContain("1 thread")
  expect(single.outputs).toEqual((await trainOnce(layer({ threads: 3 }))).outputs)
})

test("one thread is used if workers cannot be started or memory cannot be shared", async () => {
  globalThis.Worker = class extends originalWorker {
    constructor() {
      super("data:text/javascript,")
      this.terminate()
      throw new Error("workers are not allowed here")
    }
  }
  expect((await trainOnce(layer({ threads: 2 }))).description).toContain("1 thread")
  globalThis.Worker = originalWorker
  Object.assign(globalThis, { SharedArrayBuffer: undefined })
  expect((await trainOnce(layer({ threads: 2 }))).description).toContain("1 thread")
})

test("a runtime without SIMD is reported", async () => {
  WebAssembly.validate = () => false
  await expect(trainOnce(layer())).rejects.toThrow("this runtime's WebAssembly has no SIMD")
})
