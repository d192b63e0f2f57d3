/** Learning rates, accuracy, first weights, and the trainer. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  batchNorm,
  conv2d,
  defaultLoss,
  dropout,
  flatten,
  Graph,
  gain,
  Key,
  leakyReadout,
  lif,
  linear,
  type MismatchError,
  Optimizer,
  Policy,
  Program,
  plif,
  scaledWeightStandardizedConv2d,
  Train,
} from "../src/index.ts"
import { expectNear, failure, onOracle } from "./support.ts"

describe("learning rates", () => {
  const rate = (schedule: Partial<Train.Schedule>, epoch: number) =>
    Train.learningRate({ name: "constant", warmUp: 0, stepSize: 30, gamma: 0.1, ...schedule }, 0.2, epoch, 100)
  test("constant", () => {
    expect([0, 33.3, 100].map((epoch) => rate({}, epoch))).toEqual([0.2, 0.2, 0.2])
  })
  test("step decreases by γ every 30 epochs", () => {
    expectNear(
      [0, 29.9, 30, 59.9, 60, 90].map((epoch) => rate({ name: "step" }, epoch)),
      [0.2, 0.2, 0.02, 0.02, 0.002, 0.0002],
      1e-12,
    )
  })
  test("cosine: half after half of the epochs, 0 at the end", () => {
    expectNear(
      [0, 100 / 3, 50, 200 / 3, 100].map((epoch) => rate({ name: "cosine" }, epoch)),
      [0.2, 0.15, 0.1, 0.05, 0],
      1e-12,
    )
  })
  test("a warm-up starts at 1 % of the rate, so that the first update has an effect, and cosine starts after it", () => {
    const warm = { name: "cosine", warmUp: 20 } as const
    expectNear(
      [0, 5, 10, 20, 60, 100].map((epoch) => rate(warm, epoch)),
      [0.002, 0.0515, 0.101, 0.2, 0.1, 0],
      1e-12,
    )
    expectNear([rate({ warmUp: 20 }, 10)], [0.101], 1e-12)
  })
  test("a warm-up as long as the training never divides by 0; a longer one is rejected", () => {
    const warm = { name: "cosine", warmUp: 5, stepSize: 1, gamma: 1 } as const
    expect(Train.learningRate(warm, 0.2, 5, 5)).toBe(0.2)
    expect(() => Train.learningRate(warm, 0.2, 0, 4)).toThrow(
      expect.objectContaining({ _tag: "OptionError", option: "warmUp", value: 5 }),
    )
  })
  test("no drop is late by a batch, whatever fraction of an epoch a step is", () => {
    for (const batches of [1, 3, 7, 10, 30, 49, 100, 937])
      for (const stepBatches of [1, 2, 3, 7, 29, 55, 57])
        for (let update = 0; update < 5 * batches; update++) {
          const [epoch, index] = [Math.floor(update / batches), update % batches]
          const schedule = { name: "step", warmUp: 0, stepSize: stepBatches / batches, gamma: 0.99 } as const
          const rate = Train.learningRate(schedule, 1, epoch + index / batches, 5)
          const drops = Math.round(Math.log(rate) / Math.log(0.99))
          if (drops !== Math.floor(update / stepBatches))
            throw new Error(`${drops} drops before update ${update} of ${batches}, one every ${stepBatches}`)
        }
  })
  test("decimal fractions drop on time", () => {
    const drops = (stepSize: number, epoch: number) =>
      Math.round(-Math.log10(rate({ name: "step", stepSize, gamma: 0.1 }, epoch) / 0.2))
    expect([0.1, 0.2, 0.3, 0.6, 0.7, 0.9, 1.1].map((epoch) => drops(0.1, epoch))).toEqual([1, 2, 3, 6, 7, 9, 11])
    expect([0.3, 0.6, 0.9, 0.1 + 0.2].map((epoch) => drops(0.3, epoch))).toEqual([1, 2, 3, 1])
    expect(drops(0.3, 0.8999)).toBe(2)
  })
  for (const [option, schedule] of [
    ["name", { name: "cosinus" }],
    ["warmUp", { warmUp: -1 }],
    ["warmUp", { warmUp: Number.NaN }],
    ["stepSize", { name: "step", stepSize: 0 }],
    ["gamma", { gamma: Number.POSITIVE_INFINITY }],
    ["warmup", { warmup: 1 }],
  ] as const)
    test(`${option} out of range`, () => {
      expect(() => rate(schedule as object, 1)).toThrow(expect.objectContaining({ _tag: "OptionError", option }))
    })
  test("invalid rates and epochs", () => {
    const schedule = { name: "cosine", warmUp: 0, stepSize: 1, gamma: 1 } as const
    for (const [base, epoch, epochs] of [
      [Number.NaN, 0, 1],
      [-1, 0, 1],
      [1, Number.NaN, 1],
      [1, 0, 0],
      [1, 3, 2],
    ] as const)
      expect(() => Train.learningRate(schedule, base, epoch, epochs)).toThrow(
        expect.objectContaining({ _tag: "OptionError" }),
      )
  })
})

describe("accuracy", () => {
  const outputs = Float32Array.of(
    ...[1, 5, 2, 0], // label 1: first
    ...[3, 1, 2, 9], // label 0: second
    ...[4, 4, 0, 0], // label 0: a tie, first
    ...[Number.NaN, 1, 2, 3], // label 0: NaN
    ...[5, Number.NaN, 2, 3], // label 0, NaN ahead of it
  )
  const labels = Float32Array.of(1, 0, 0, 0, 0)
  test("top-1 is argmax: the first of equal outputs; a row with NaN never counts", () => {
    expect(Train.hits(outputs, labels, 1)).toBe(2)
  })
  test("top-2 and top-4", () => {
    expect(Train.hits(outputs, labels, 2)).toBe(3)
    expect(Train.hits(outputs, labels, 4)).toBe(3)
  })
  test("rows beyond the count are ignored", () => {
    expect([0, 1, 2, 3].map((count) => Train.hits(outputs, labels, 2, count))).toEqual([0, 1, 2, 3])
  })
  test("of equal outputs, the top k are the first k classes", () => {
    const ties = Float32Array.of(2, 2, 0, 2)
    const counted = (k: number) => [0, 1, 2, 3].map((label) => Train.hits(ties, Float32Array.of(label), k))
    expect([1, 2, 3, 4].map(counted)).toEqual([
      [1, 0, 0, 0],
      [1, 1, 0, 0],
      [1, 1, 0, 1],
      [1, 1, 1, 1],
    ])
    // A read-out that stayed silent answers with the first class.
    expect([0, 1].map((label) => Train.hits(new Float32Array(2), Float32Array.of(label), 1))).toEqual([1, 0])
  })
  test("a label that is not a class is not that of another sample", () => {
    for (const label of [2, -1, 0.5, Number.NaN])
      expect(Train.hits(Float32Array.of(0, 1, 9, 0), Float32Array.of(label, 1), 2)).toBe(1)
    expect(Train.hits(Float32Array.of(Number.NaN), Float32Array.of(0), 1)).toBe(0)
  })
})

describe("initial weights", () => {
  const graph = Graph.makeUnsafe(
    [8, 8, 4],
    Graph.sequential(
      conv2d({ channels: 64, kernelSize: 5 }),
      batchNorm(),
      plif({ tau: 3 }),
      gain({ initial: 0.25 }),
      scaledWeightStandardizedConv2d({ channels: 50, kernelSize: 4 }),
      flatten(),
      linear({ features: 500 }),
    ),
  )
  const weights = Train.initialize(graph, Key.make(1))
  const values = (name: string) => weights.get(name) as Float32Array
  const extent = (name: string) => [Math.min(...values(name)), Math.max(...values(name))] as const
  const deviation = (name: string) => {
    const all = values(name)
    return Math.sqrt(all.reduce((sum, value) => sum + value * value, 0) / all.length)
  }
  test("convolutions are uniform within ±1/√(inputs·kernel²)", () => {
    expect(values("0.weight")).toHaveLength(6400)
    const [least, most] = extent("0.weight")
    expect(Math.max(-least, most)).toBeLessThanOrEqual(0.1)
    expect(Math.min(-least, most)).toBeGreaterThan(0.0995)
    expect(deviation("0.weight")).toBeCloseTo(0.1 / Math.sqrt(3), 2)
    expect(Math.max(...values("0.bias").map(Math.abs))).toBeLessThanOrEqual(0.1)
  })
  test("linear layers are uniform within ±1/√inputs", () => {
    const [least, most] = extent("6.weight")
    const bound = 1 / Math.sqrt(50)
    expect(Math.max(-least, most)).toBeLessThanOrEqual(Math.fround(bound))
    expect(Math.min(-least, most)).toBeGreaterThan(0.99 * bound)
  })
  test("standardised convolutions are normal with standard deviation 1/√(inputs·kernel²)", () => {
    // 51,200 numbers: the standard error of the deviation is 0.3 %.
    expect(deviation("4.weight") * 32).toBeGreaterThan(0.98)
    expect(deviation("4.weight") * 32).toBeLessThan(1.02)
    expect([...values("4.gain")]).toEqual(Array(50).fill(1))
    expect([...values("4.bias")]).toEqual(Array(50).fill(0))
  })
  test("normalisation and its statistics start at 1 and 0, gains and trained decays at the given values", () => {
    expect([...values("1.weight"), ...values("1.running_var")]).toEqual(Array(128).fill(1))
    expect([...values("1.bias"), ...values("1.running_mean")]).toEqual(Array(128).fill(0))
    expect([...values("3.gain")]).toEqual([0.25])
    expect(values("2.w")[0]).toBeCloseTo(-Math.LN2, 6)
  })
  test("depend only on the key and the parameter's own name", () => {
    const other = Graph.makeUnsafe([50], Graph.named("6", linear({ features: 500 })))
    expect(Train.initialize(other, Key.make(1)).get("6.weight")).toEqual(values("6.weight"))
    expect(Train.initialize(other, Key.make(2)).get("6.weight")).not.toEqual(values("6.weight"))
    expect([...values("0.bias")]).not.toEqual([...values("6.bias").subarray(0, 64)])
  })
})

const net = (features: number) =>
  Graph.makeUnsafe(
    [3],
    Graph.sequential(linear({ features }), batchNorm(), lif({ tau: 2 }), dropout(0.2), linear({ features: 2 })),
  )

const options = {
  batchSize: 2,
  timeSteps: 3,
  loss: defaultLoss,
  optimizer: Optimizer.sgd(),
  key: Key.make(1),
}

const batch = { inputs: Float32Array.of(1, 2, 3, 3, 2, 1), labels: Float32Array.of(0, 1) }

describe("the trainer", () => {
  test("decreases the loss of one batch", async () => {
    const losses = await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(net(16), Policy.sltt, options)
        const steps = Array.from({ length: 30 }, (_, i) => trainer.step(batch, { update: i + 1, learningRate: 0.05 }))
        return (yield* Effect.all(steps)).map(({ loss }) => loss)
      }),
    )
    expect(losses.at(-1)!).toBeLessThan(0.5 * losses[0]!)
  })
  test("a learning rate of 0 changes no weight", async () => {
    await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(net(4), Policy.sltt, options)
        const before = yield* trainer.save
        yield* trainer.step(batch, { update: 1, learningRate: 0 })
        const after = yield* trainer.save
        for (const [name, { values }] of after)
          if (!name.startsWith("optimizer/") && !name.includes("running"))
            expect(values).toEqual(before.get(name)!.values)
        expect(after.get("1.running_mean")!.values).not.toEqual(before.get("1.running_mean")!.values)
      }),
    )
  })
  test("splits a batch into micro-batches: the same loss, outputs, rates and update with less memory", async () => {
    const network = Graph.makeUnsafe(
      [3],
      Graph.sequential(linear({ features: 40 }), lif({ tau: 2 }), linear({ features: 2 })),
    )
    const samples = 16
    for (const encoding of ["static", "frames"] as const)
      for (const policy of [Policy.sltt, Policy.bptt]) {
        const values = (name: string, length: number) =>
          Key.uniform(Key.fold(Key.make(7), name), new Float32Array(length)).map((u) => 3 * u)
        const inputs = values("inputs", 3 * samples * (encoding === "frames" ? options.timeSteps : 1))
        const labels = Float32Array.from({ length: samples }, (_, i) => (i >> 1) % 2)
        const train = (microBatches: number) =>
          onOracle(
            Effect.gen(function* () {
              const trainer = yield* Train.make(network, policy, {
                ...options,
                batchSize: samples,
                encoding,
                microBatches,
              })
              const result = yield* trainer.step({ inputs, labels }, { update: 1, learningRate: 1 })
              return { result, tensors: yield* trainer.save, bytes: trainer.program.arenaBytes }
            }),
          )
        const whole = await train(1)
        for (const microBatches of [2, 4]) {
          const cut = await train(microBatches)
          expect(cut.bytes).toBeLessThan(whole.bytes)
          expect(cut.result.loss).toBeCloseTo(whole.result.loss, 6)
          expect(cut.result.firingRates[0]).toBeCloseTo(whole.result.firingRates[0]!, 6)
          expectNear(cut.result.outputs, [...whole.result.outputs])
          for (const [name, { values }] of cut.tensors) expectNear(values, [...whole.tensors.get(name)!.values])
        }
      }
  })
  test("saves parameters, statistics and the optimiser's state", async () => {
    const tensors = await onOracle(Effect.flatMap(Train.make(net(4), Policy.sltt, options), ({ save }) => save))
    const parameters = ["0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"]
    expect([...tensors.keys()].toSorted()).toEqual(
      [
        ...parameters,
        ...parameters.map((name) => `optimizer/velocity/${name}`),
        "1.running_mean",
        "1.running_var",
      ].toSorted(),
    )
    expect(tensors.get("0.weight")!.shape).toEqual([3, 4])
  })
  test("reports firing rates by layer and the outputs' sum over time", async () => {
    const result = await onOracle(
      Effect.gen(function* () {
        const graph = Graph.makeUnsafe([2], Graph.sequential(lif({ tau: 1 }), leakyReadout({ tau: 2 })))
        const predictor = yield* Train.makePredictor(graph, { batchSize: 1, timeSteps: 3 })
        return yield* predictor.predict(Float32Array.of(1.5, 0.5))
      }),
    )
    // The first neuron fires at each step: its read-out is 1, 1.5, 1.75.
    expect(result.firingRates).toHaveLength(1)
    expectNear(result.firingRates, [0.5])
    expect([...result.outputs]).toEqual([4.25, 0])
  })
})

describe("rejects tensors of another network, with the tensor and both shapes named", () => {
  const tensorsOf = (graph: Graph.Graph, optimizer = options.optimizer) =>
    Effect.flatMap(Train.make(graph, Policy.sltt, { ...options, optimizer }), ({ save }) => save)
  const loading = (change: (tensors: Map<string, { shape: ReadonlyArray<number>; values: Float32Array }>) => void) =>
    failure(
      Effect.gen(function* () {
        const trainer = yield* Train.make(net(4), Policy.sltt, options)
        const tensors = new Map(yield* trainer.save)
        change(tensors)
        yield* trainer.load(tensors)
      }),
    )
  test("another width", async () => {
    const error = await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(net(4), Policy.sltt, options)
        return yield* Effect.flip(trainer.load(yield* tensorsOf(net(5))))
      }),
    )
    expect(error.message).toStartWith("the tensors do not fit this network: misshapen 0.weight (3×5, here 3×4), ")
    const { misshapen } = error as MismatchError
    expect(misshapen).toContainEqual({ name: "optimizer/velocity/4.weight", shape: [5, 2], expected: [4, 2] })
  })
  test("a missing or an additional tensor", async () => {
    expect(await loading((tensors) => tensors.delete("4.bias"))).toBe(
      "the tensors do not fit this network: missing 4.bias (2)",
    )
    expect(await loading((tensors) => tensors.set("9.bias", { shape: [1], values: new Float32Array(1) }))).toBe(
      "the tensors do not fit this network: unexpected 9.bias (1)",
    )
  })
  test("the state of another optimiser", async () => {
    const message = await failure(
      Effect.gen(function* () {
        const trainer = yield* Train.make(net(4), Policy.sltt, options)
        yield* trainer.load(yield* tensorsOf(net(4), Optimizer.adam()))
      }),
    )
    expect(message).toStartWith("the tensors do not fit this network: missing optimizer/velocity/0.weight (3×4), ")
    expect(message).toContain("; unexpected optimizer/firstMoment/0.weight (3×4), ")
  })
  test("rejected tensors change nothing", async () => {
    await onOracle(
      Effect.gen(function* () {
        const trainer = yield* Train.make(net(4), Policy.sltt, options)
        const before = yield* trainer.save
        const wrong = new Map(
          [...before].map(([name, { shape, values }]) => [name, { shape, values: values.map(() => 7) }]),
        )
        wrong.set("4.bias", { shape: [3], values: new Float32Array(3) })
        yield* Effect.flip(trainer.load(wrong))
        for (const [name, { values }] of yield* trainer.save) expect(values).toEqual(before.get(name)!.values)
      }),
    )
  })
  test("loads files of earlier versions, which name parameters as their buffers", async () => {
    await onOracle(
      Effect.gen(function* () {
        const [older, trainer] = [
          yield* Train.make(net(4), Policy.sltt, { ...options, key: Key.make(2) }),
          yield* Train.make(net(4), Policy.sltt, options),
        ]
        const saved = yield* older.save
        yield* trainer.load(
          new Map(
            [...saved].map(([name, tensor]) => [name.startsWith("optimizer/") ? name : `parameter/${name}`, tensor]),
          ),
        )
        expect(yield* trainer.save).toEqual(saved)
      }),
    )
  })
  test("a predictor loads a trainer's parameters and ignores optimiser states, but rejects those of another network", async () => {
    const predict = (features: number) =>
      Effect.gen(function* () {
        const predictor = yield* Train.makePredictor(net(4), { batchSize: 2, timeSteps: 3 })
        yield* predictor.load(yield* tensorsOf(net(features)))
        const name = Program.bufferNames.parameter("0.weight")
        const { values } = (yield* tensorsOf(net(features))).get("0.weight")!
        return [yield* predictor.executable.read(name), values] as const
      })
    const [taken, given] = await onOracle(predict(4))
    expect(taken).toEqual(given)
    const message = await failure(predict(6))
    expect(message).toStartWith("the tensors do not fit this network: misshapen 0.weight (3×6, here 3×4), ")
    expect(message).not.toContain("optimizer")
  })
})
