import { afterEach, describe, expect, test } from "bun:test"
import {
  Backend,
  BackendError,
  BackendUnavailableError,
  conv2d,
  defaultLoss,
  flatten,
  Graph,
  Key,
  lif,
  linear,
  maxPool,
  Optimizer,
  Policy,
  Program,
  Train,
  Windows,
} from "@spikeroute/core"
import { Effect, Layer } from "effect"
import * as Tfjs from "../src/index.ts"

const graph = Graph.makeUnsafe(
  [9, 7, 2],
  Graph.sequential(
    conv2d({ channels: 40, kernelSize: 3, padding: 1 }),
    lif(),
    maxPool({ kernelSize: 2 }),
    conv2d({ channels: 8, kernelSize: 3, stride: 2 }),
    lif(),
    flatten(),
    linear({ features: 5 }),
  ),
)
const options = {
  batchSize: 13,
  timeSteps: 3,
  loss: defaultLoss,
  optimizer: Optimizer.adam(),
} as const

/** The training state after five batches. */
const trained = Effect.gen(function* () {
  const trainer = yield* Train.make(graph, Policy.bptt, { ...options, key: Key.make(1) })
  const inputs = Key.uniform(Key.make(2), new Float32Array(13 * 9 * 7 * 2)).map((x) => 6 * x)
  const labels = Float32Array.from({ length: 13 }, (_, i) => i % 5)
  for (let update = 1; update <= 5; update++) yield* trainer.step({ inputs, labels }, { update, learningRate: 0.05 })
  return yield* trainer.save
}).pipe(Effect.scoped)

const describeBackend = Effect.map(Backend, ({ name, description }) => `${name}: ${description}`)

describe("layers", () => {
  const { validate } = WebAssembly
  afterEach(() => {
    WebAssembly.validate = validate
  })

  test("describe what they run on", async () => {
    expect(await Effect.runPromise(describeBackend.pipe(Effect.provide(Tfjs.cpu)))).toMatch(
      /^tfjs-cpu: TensorFlow.js 4\.\d+\.\d+, plain JavaScript, one thread$/,
    )
    expect(await Effect.runPromise(describeBackend.pipe(Effect.provide(Tfjs.wasm)))).toMatch(
      /^tfjs-wasm: TensorFlow.js 4\.\d+\.\d+, WebAssembly with SIMD, (one thread|[234] threads)$/,
    )
    const three = Tfjs.layer("tfjs-wasm", { threads: 3 })
    const threads = "Deno" in globalThis ? "one thread" : "3 threads"
    expect(await Effect.runPromise(describeBackend.pipe(Effect.provide(three)))).toEndWith(`SIMD, ${threads}`)
  })

  test("are bit-identical for any number of threads", async () => {
    const [one, two, three] = await Promise.all(
      [1, 2, 3].map((threads) => Effect.runPromise(trained.pipe(Effect.provide(Tfjs.layer("tfjs-wasm", { threads }))))),
    )
    expect(two).toEqual(one!)
    expect(three).toEqual(one!)
  })

  test("of two engines do not interfere, even after one is closed", async () => {
    const both = Effect.gen(function* () {
      const first = yield* Layer.build(Tfjs.layer("tfjs-wasm", { threads: 1 }))
      const alone = yield* Effect.provide(trained, first)
      yield* Effect.provide(trained, Tfjs.layer("tfjs-wasm", { threads: 2 }))
      const after = yield* Effect.provide(trained, first)
      expect(after).toEqual(alone)
    })
    await Effect.runPromise(Effect.scoped(both))
  })

  test("change no globals and add no error listeners", async () => {
    const state = () => [
      globalThis.Worker,
      process.listenerCount("uncaughtException"),
      process.listenerCount("unhandledRejection"),
    ]
    const before = state()
    await Effect.runPromise(trained.pipe(Effect.provide(Tfjs.layer("tfjs-wasm", { threads: 2 }))))
    expect(state()).toEqual(before)
  })

  test("fail with the reason if SIMD is missing", async () => {
    WebAssembly.validate = () => false
    const error = await Effect.runPromise(Effect.flip(describeBackend.pipe(Effect.provide(Tfjs.wasm))))
    expect(error).toBeInstanceOf(BackendUnavailableError)
    expect(error.message).toBe("backend tfjs-wasm cannot run here: this runtime's WebAssembly has no SIMD")
  })
})

describe("errors while running", () => {
  test("name the kernel and the node; running after the scope has closed fails", async () => {
    const program = Effect.gen(function* () {
      const compiled = yield* Program.compile(graph, Policy.sltt, options)
      const begin = compiled.segments.begin.map((instruction) =>
        instruction.kernel === "conv2d.forward"
          ? { ...instruction, attributes: { ...Windows.windowOf(3, 3, { stride: 1, padding: 0 }), groups: 1 } }
          : instruction,
      )
      const broken: Program.Program = { ...compiled, segments: { ...compiled.segments, begin } }
      const executable = yield* Effect.scoped(
        Effect.gen(function* () {
          const { prepare } = yield* Backend
          const executable = yield* prepare(broken)
          const error = yield* Effect.flip(executable.run([{ segment: "begin", t: 0 }]))
          expect(error.message).toBe("backend tfjs-cpu: conv2d.forward of 0: y was made as 13×7×5×40, not as 13×9×7×40")
          return executable
        }),
      )
      const closed = yield* Effect.flip(executable.read("outputs"))
      expect(closed).toBeInstanceOf(BackendError)
      expect(closed.message).toBe("backend tfjs-cpu: the scope of this program has closed")
    })
    await Effect.runPromise(program.pipe(Effect.provide(Tfjs.cpu)))
  })
})

test("an option out of range fails when the layer is built", async () => {
  const opened = (name: string, given: object) =>
    Effect.runPromise(Effect.result(Effect.provide(Backend, Tfjs.layer(name as never, given))))
  for (const threads of [0, -1, Number.NaN, 1.5, 9, 1e9])
    for (const name of ["tfjs-wasm", "tfjs-cpu"])
      expect(await opened(name, { threads })).toMatchObject({
        failure: { _tag: "OptionError", option: "threads", value: threads, expected: "a whole number from 1 to 8" },
      })
  expect(await opened("tfjs-cpu", { thread: 1 })).toMatchObject({ failure: { _tag: "OptionError", option: "thread" } })
  expect(await opened("tfjs", {})).toMatchObject({ failure: { _tag: "OptionError", option: "engine", value: "tfjs" } })
})
