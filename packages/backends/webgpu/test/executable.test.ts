import { describe, expect, spyOn, test } from "bun:test"
import {
  Backend,
  BackendError,
  conv2d,
  defaultLoss,
  flatten,
  Graph,
  Key,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
  Train,
} from "@spikeroute/core"
import { Effect } from "effect"
import { fromDevice } from "../src/index.ts"
import { open, shared, withoutGpu } from "./device.ts"

const graph = Graph.makeUnsafe(
  [6, 5, 2],
  Graph.sequential(conv2d({ channels: 4, kernelSize: 3 }), lif(), flatten(), linear({ features: 3 })),
)
const options = { batchSize: 2, timeSteps: 3, loss: defaultLoss, optimizer: Optimizer.adam() } as const
const batch = { inputs: Key.uniform(Key.make(1), new Float32Array(120)), labels: Float32Array.of(0, 2) }

const trainer = (policy = Policy.sltt, encoding: Program.Encoding = "static") =>
  Train.make(graph, policy, { ...options, encoding, key: Key.make(0) })

describe.skipIf(withoutGpu !== undefined)(`a program on a GPU ${withoutGpu ?? ""}`, () => {
  const { layer, device } = shared()

  test.each(["static", "frames"] as const)(
    "%s: a training step is one submission, one read-back and one submission of the update",
    async (encoding) => {
      const { gpu } = await device()
      const inputs = encoding === "frames" ? Key.uniform(Key.make(1), new Float32Array(360)) : batch.inputs
      const submit = spyOn(gpu.queue, "submit")
      const map = spyOn(GPUBuffer.prototype, "mapAsync")
      const counts = await Effect.runPromise(
        Effect.gen(function* () {
          const made = yield* trainer(Policy.bptt, encoding)
          const before = [submit.mock.calls.length, map.mock.calls.length] as const
          for (let update = 1; update <= 3; update++)
            yield* made.step({ ...batch, inputs }, { update, learningRate: 0.01 })
          return [submit.mock.calls.length - before[0], map.mock.calls.length - before[1]]
        }).pipe(Effect.scoped, Effect.provide(layer)),
      )
      submit.mockRestore()
      map.mockRestore()
      expect(counts).toEqual([6, 3])
    },
  )

  test.each(["static", "frames"] as const)(
    "%s: the next batch is uploaded once, before waiting for the result",
    async (encoding) => {
      const { gpu } = await device()
      const batches = Array.from({ length: 3 }, (_, i) => ({
        inputs: Key.uniform(Key.make(i), new Float32Array(encoding === "frames" ? 360 : 120)),
        labels: Float32Array.of(i % 3, 1),
      }))
      const events: Array<string> = []
      const { writeBuffer, submit } = gpu.queue
      const { mapAsync } = GPUBuffer.prototype
      const spies = [
        spyOn(gpu.queue, "writeBuffer").mockImplementation((...given) => {
          const { byteLength } = given[2] as Float32Array
          if (byteLength === batches[0]?.inputs.byteLength) events.push("upload")
          return writeBuffer.apply(gpu.queue, given)
        }),
        spyOn(gpu.queue, "submit").mockImplementation((commands) => {
          events.push("submit")
          return submit.call(gpu.queue, commands)
        }),
        spyOn(GPUBuffer.prototype, "mapAsync").mockImplementation(function (this: GPUBuffer, ...given) {
          events.push("wait")
          return mapAsync.apply(this, given)
        }),
      ]
      await Effect.runPromise(
        Effect.gen(function* () {
          const made = yield* trainer(Policy.bptt, encoding)
          events.length = 0
          for (const [i, each] of batches.entries())
            yield* made.step(each, { update: i + 1, learningRate: 0.01, next: batches[i + 1] })
        }).pipe(Effect.scoped, Effect.provide(layer)),
      )
      for (const spy of spies) spy.mockRestore()
      expect(events.join(" ")).toBe("upload submit upload wait submit submit upload wait submit submit wait submit")
    },
  )

  test("a read returns the results of the latest run", async () => {
    const seen = await Effect.runPromise(
      Effect.gen(function* () {
        const { executable, step } = yield* trainer()
        const losses: Array<number> = []
        for (let update = 1; update <= 3; update++) {
          const { loss } = yield* step(batch, { update, learningRate: 0.1 })
          const [again] = yield* executable.read(Program.bufferNames.metrics)
          losses.push(loss)
          expect(again).toBe(loss)
        }
        return losses
      }).pipe(Effect.scoped, Effect.provide(layer)),
    )
    expect(new Set(seen).size).toBe(3)
  })

  test("a program too large for the GPU fails with its size and the limit", async () => {
    const { gpu } = await device()
    const limit = gpu.limits.maxStorageBufferBindingSize
    const error = await Effect.runPromise(
      Effect.gen(function* () {
        const program = yield* Program.compile(graph, Policy.sltt, { ...options, batchSize: Math.ceil(limit / 240) })
        return yield* Effect.flip((yield* Backend).prepare(program))
      }).pipe(Effect.scoped, Effect.provide(layer)),
    )
    expect(error).toBeInstanceOf(BackendError)
    const { needed, available } = (error as BackendError).memory ?? { needed: 0, available: 0 }
    expect(available).toBe(limit)
    // The input alone is as large as the limit.
    expect(needed).toBeGreaterThan(1.5 * limit)
  })

  test("an invalid shader fails in prepare, naming the kernel and its shapes", async () => {
    const error = await Effect.runPromise(
      Effect.gen(function* () {
        const program = yield* Program.compile(graph, Policy.sltt, options)
        const train = program.segments.train.map((each) =>
          each.kernel === "elementwise.forward" ? { ...each, attributes: { ...each.attributes, y: 99 } } : each,
        )
        const broken = { ...program, segments: { ...program.segments, train } }
        return yield* Effect.flip((yield* Backend).prepare(broken))
      }).pipe(Effect.scoped, Effect.provide(layer)),
    )
    expect(error).toBeInstanceOf(BackendError)
    expect(error.message).toContain(
      "elementwise.forward of 1 (x0 2×4×3×4, before 2×4×3×4, state 2×4×3×4, y 2×4×3×4): Error while parsing WGSL",
    )
  })

  test("after a device is lost, run and read fail, and a saved state resumes bit-identically on another device", async () => {
    const lost = await open()
    const program = Effect.gen(function* () {
      const first = yield* trainer().pipe(Effect.provideService(Backend, fromDevice(lost)))
      yield* first.step(batch, { update: 1, learningRate: 0.01 })
      const saved = yield* first.save
      const expected = yield* first.step(batch, { update: 2, learningRate: 0.01 })
      lost.gpu.destroy()
      yield* Effect.promise(() => lost.gpu.lost)
      const step = first.step(batch, { update: 3, learningRate: 0.01 })
      for (const error of [yield* Effect.flip(step), yield* Effect.flip(first.save)]) {
        expect(error).toBeInstanceOf(BackendError)
        expect(error.message).toStartWith("backend webgpu: the GPU was lost")
      }
      const second = yield* trainer()
      yield* second.load(saved)
      expect(yield* second.step(batch, { update: 2, learningRate: 0.01 })).toEqual(expected)
    })
    await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
  })
})
