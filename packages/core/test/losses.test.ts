/** Losses that are sums of terms: values by hand, gradients by central differences, and the same numbers however the steps are scheduled. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import { leaf } from "../src/expressions/expression.ts"
import {
  Graph,
  Key,
  Losses,
  leakyReadout,
  lif,
  linear,
  Neuron,
  Optimizer,
  Policy,
  Program,
  Train,
} from "../src/index.ts"
import { custom } from "../src/policies/steps.ts"
import type { TrainingOptions } from "../src/program/options.ts"
import type { Numbers } from "../src/values.ts"
import { onOracle } from "./support.ts"

const [timeSteps, batchSize, features, outputs] = [4, 6, 5, 3]

const network = (smooth: boolean) =>
  Graph.sequential(
    linear({ features: 7 }),
    lif({ tau: 2, smooth, surrogate: { name: "sigmoid", alpha: 2 } }),
    linear({ features: outputs }),
    leakyReadout({ tau: 4 }),
  )

const drawn = (name: string, length: number) => Key.normal(Key.fold(Key.make(7), name), new Float32Array(length))

const inputs = drawn("inputs", timeSteps * batchSize * features)
const targets = drawn("targets", timeSteps * batchSize * outputs)
/** A class a step; every fifth does not count. */
const labels = Float32Array.from({ length: timeSteps * batchSize }, (_, i) => (i % 5 === 2 ? -1 : (i * 7) % outputs))
const ofSamples = Float32Array.from({ length: batchSize }, (_, n) => (n === 1 ? -1 : n % outputs))
const batch = { inputs, labels, targets }

const huber = Losses.own(
  (y, target) => {
    const error = Neuron.absolute(y.minus(target))
    return Neuron.select(error.atLeast(1), error.minus(0.5), error.times(error).times(0.5))
  },
  { weight: 0.7 },
)

const overSteps: ReadonlyArray<Losses.LossTerm> = [Losses.crossEntropy({ weight: 2, classWeights: [1, 0.5, 3] }), huber]
const overRun: ReadonlyArray<Losses.LossTerm> = [
  Losses.crossEntropy({ over: "mean", classWeights: [1, 0.5, 3] }),
  Losses.meanSquaredError({ over: "mean", weight: 0.3 }),
]

const trainerOf = (
  loss: TrainingOptions["loss"],
  policy: Policy.Policy = Policy.bptt,
  { smooth = false, microBatches = 1 }: { readonly smooth?: boolean; readonly microBatches?: number } = {},
) =>
  Effect.gen(function* () {
    const graph = yield* Graph.make([features], network(smooth))
    return yield* Train.make(graph, policy, {
      ...{ batchSize, timeSteps, microBatches, encoding: "frames", loss },
      ...{ optimizer: Optimizer.sgd(), key: Key.make(3) },
    })
  })

const differentiated = (loss: TrainingOptions["loss"], policy: Policy.Policy, data: Train.Batch, microBatches = 1) =>
  onOracle(
    Effect.flatMap(trainerOf(loss, policy, { microBatches }), (trainer) => trainer.differentiate(data, { update: 1 })),
  )

const flat = (gradients: Train.Gradients) => [...gradients.values()].flatMap((values) => [...values])

const farthest = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / Math.max(...a.map(Math.abs))

const perSample = { inputs, labels: ofSamples, targets: targets.subarray(0, batchSize * outputs) }

const cases: ReadonlyArray<readonly [string, ReadonlyArray<Losses.LossTerm>, Train.Batch]> = [
  ["over steps", overSteps, batch],
  ["over the run", overRun, perSample],
  ["both, told of samples", [...overSteps, ...overRun], perSample],
  [
    "of the last step and the largest",
    [
      Losses.crossEntropy({ over: "last", labelSmoothing: 0.2, classWeights: [1, 0.5, 3] }),
      Losses.meanSquaredError({ over: "max", weight: 0.3 }),
    ],
    perSample,
  ],
  ["firing rates", [Losses.crossEntropy(), Losses.firingRate({ rate: 3, at: 0.3 })], batch],
]

describe("gradients match the loss", () => {
  // A step to another largest value is no derivative; the tape holds these.
  for (const [name, loss, data] of cases.filter(([name]) => !name.includes("largest")))
    test(`${name}: central differences of smooth neurons`, () =>
      onOracle(
        Effect.gen(function* () {
          const trainer = yield* trainerOf(loss, Policy.bptt, { smooth: true })
          const { gradients } = yield* trainer.differentiate(data, { update: 1 })
          for (const [parameter, gradient] of gradients) {
            const buffer = Program.bufferNames.parameter(parameter)
            const weights = yield* trainer.executable.read(buffer)
            const direction = drawn(`direction ${parameter}`, weights.length)
            const at = (step: number) =>
              Effect.gen(function* () {
                yield* trainer.executable.write(
                  buffer,
                  weights.map((weight, i) => weight + step * direction[i]!),
                )
                return (yield* trainer.differentiate(data, { update: 1 })).loss
              })
            const slope = ((yield* at(0.01)) - (yield* at(-0.01))) / 0.02
            yield* trainer.executable.write(buffer, weights)
            const expected = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0)
            const scale = Math.hypot(...gradient) * Math.hypot(...direction)
            expect(Math.abs(slope - expected)).toBeLessThan(2e-3 * scale)
          }
        }),
      ))
})

const allButLast = custom(
  "all but the last",
  (count) => count - 1,
  (count) => Effect.succeed(Array.from({ length: count - 1 }, (_, t) => t)),
)

describe("the schedule does not change results", () => {
  for (const [name, loss, data] of cases) {
    test(`${name}: checkpoints`, async () => {
      const whole = await differentiated(loss, Policy.bptt, data)
      const replayed = await differentiated(loss, Policy.bptt.pipe(Policy.checkpoint(2)), data)
      expect(replayed).toEqual(whole)
    })
    test(`${name}: a window of all steps with an untrained last step has the same loss as SLTT`, async () => {
      const whole = await differentiated(loss, Policy.bptt, data)
      const some = Policy.bptt.pipe(Policy.trainOn(allButLast))
      for (const policy of [some, Policy.sltt, Policy.bptt.pipe(Policy.truncate(2))]) {
        const other = await differentiated(loss, policy, data)
        expect(other.loss).toBeCloseTo(whole.loss, 6)
        expect(other.outputs).toEqual(whole.outputs)
        expect(other.firingRates).toEqual(whole.firingRates)
      }
    })
    if (name !== "firing rates")
      test(`${name}: micro-batches`, async () => {
        const whole = await differentiated(loss, Policy.bptt, data)
        for (const policy of [Policy.bptt, Policy.sltt]) {
          const expected = policy === Policy.bptt ? whole : await differentiated(loss, policy, data)
          const parts = await differentiated(loss, policy, data, 3)
          expect(parts.loss).toBeCloseTo(expected.loss, 5)
          expect(farthest(flat(expected.gradients), flat(parts.gradients))).toBeLessThan(1e-5)
        }
      })
  }
})

const ofOne = { inputs: [1, 1, 1, 1], labels: [0, -1, 1, 0] }

/** One sample of four steps whose outputs are the same at each: (0, ln 3). */
const fixed = (loss: TrainingOptions["loss"], data: Train.Batch<Numbers>) =>
  onOracle(
    Effect.gen(function* () {
      const graph = yield* Graph.make([1], linear({ features: 2 }))
      const trainer = yield* Train.make(graph, Policy.sltt, {
        ...{ batchSize: 1, timeSteps: 4, encoding: "frames", loss },
        ...{ optimizer: Optimizer.sgd(), key: Key.make(3) },
      })
      for (const { name } of graph.parameters)
        yield* trainer.executable.write(
          Program.bufferNames.parameter(name),
          name.endsWith("weight") ? Float32Array.of(0, Math.log(3)) : Float32Array.of(0, 0),
        )
      return yield* trainer.differentiate(data, { update: 1 })
    }),
  )

describe("values", () => {
  test("one class per step, of which one does not count: (2·ln 4 + ln 4/3)/3", async () => {
    const { loss, outputs } = await fixed([Losses.crossEntropy()], ofOne)
    expect(loss).toBeCloseTo((2 * Math.log(4) + Math.log(4 / 3)) / 3, 6)
    expect(outputs[1]).toBeCloseTo(4 * Math.log(3), 5)
  })
  test("class weights 1 and 4: (2·ln 4 + 4·ln 4/3)/6", async () => {
    const { loss } = await fixed([Losses.crossEntropy({ classWeights: [1, 4] })], ofOne)
    expect(loss).toBeCloseTo((2 * Math.log(4) + 4 * Math.log(4 / 3)) / 6, 6)
  })
  test("if no sample counts, the loss and all gradients are 0", async () => {
    const { loss, gradients } = await fixed([Losses.crossEntropy()], { ...ofOne, labels: [-1, -1, -1, -1] })
    expect(loss).toBe(0)
    expect(flat(gradients).every((value) => value === 0)).toBe(true)
  })
  test("the sum of terms: ln 4 and half of the squared distance from (1, 1)", async () => {
    const { loss } = await fixed([Losses.crossEntropy({ over: "mean" }), Losses.meanSquaredError({ weight: 0.5 })], {
      inputs: ofOne.inputs,
      labels: [0],
      targets: [1, 1],
    })
    expect(loss).toBeCloseTo(Math.log(4) + (0.5 * (1 + (Math.log(3) - 1) ** 2)) / 2, 6)
  })
  test("the squared error per step uses the targets of the steps", async () => {
    const { loss } = await fixed([Losses.meanSquaredError()], {
      inputs: ofOne.inputs,
      targets: [0, Math.log(3), 2, Math.log(3), 0, Math.log(3), 0, Math.log(3)],
    })
    expect(loss).toBeCloseTo(4 / 8, 6)
  })
})

/** One sample whose outputs are 1, 0, 1, 1 and 0, 0, 1, 0: they follow the input's two channels. */
const counted = (loss: TrainingOptions["loss"], data: Partial<Train.Batch<Numbers>>) =>
  onOracle(
    Effect.gen(function* () {
      const graph = yield* Graph.make(
        [2],
        Graph.sequential(
          linear({ features: 2, bias: false }),
          lif({ tau: 1, surrogate: { name: "rectangle", width: 2 } }),
        ),
      )
      const trainer = yield* Train.make(graph, Policy.sltt, {
        ...{ batchSize: 1, timeSteps: 4, encoding: "frames", loss },
        ...{ optimizer: Optimizer.sgd(), key: Key.make(3) },
      })
      yield* trainer.executable.write(Program.bufferNames.parameter("0.weight"), Float32Array.of(1.5, 0, 0, 1.5))
      return yield* trainer.differentiate({ inputs: [1, 0, 0, 0, 1, 1, 1, 0], ...data }, { update: 1 })
    }),
  )

describe("values for spikes", () => {
  test("counts 3 and 1, desired 4·0.75 and 4·0.25: 0; with the other label (2² + 2²)/2/4", async () => {
    const term = Losses.spikeCount({ correct: 0.75, incorrect: 0.25 })
    expect((await counted([term], { labels: [0] })).loss).toBe(0)
    const { loss, gradients } = await counted([term], { labels: [1] })
    expect(loss).toBeCloseTo(1, 6)
    // 2·(3 − 1)/2/4 for each of three steps with the slope 1/2, and the same downwards for the one spike.
    expect(gradients.get("0.weight")![0]).toBeCloseTo(3 * 0.5 * 0.5, 6)
    expect(gradients.get("0.weight")![3]).toBeCloseTo(-0.5 * 0.5, 6)
  })
  test("rates 3/4 and 1/4 outside bounds: 2·((0.75 − 0.5)² + (0.3 − 0.25)²)/2", async () => {
    const { loss } = await counted([Losses.firingRateBounds({ rate: 2, lower: 0.3, upper: 0.5 })], {})
    expect(loss).toBeCloseTo(0.25 ** 2 + 0.05 ** 2, 6)
  })
  test("mean number of spikes of all layers", async () => {
    const spikes = Losses.own((s) => s, { layers: true, over: "sum", weight: 0.5 })
    expect((await counted([spikes], {})).loss).toBeCloseTo((0.5 * (3 + 1)) / 2, 6)
  })
  test("max and last: of equal values, the first step receives the gradient", async () => {
    const largest = Losses.meanSquaredError({ over: "max" })
    const { loss, gradients } = await counted([largest], { targets: [0, 0] })
    expect(loss).toBeCloseTo(1, 6)
    // Channel 1 fires first at step 0, where channel 2 is silent; at step 2 both are on.
    expect([...gradients.get("0.weight")!]).toEqual([0.5, 0.5, 0, 0.5])
    const last = await counted([Losses.meanSquaredError({ over: "last" })], { targets: [0, 0] })
    expect(last.loss).toBeCloseTo(1 / 2, 6)
  })
})

describe("label smoothing", () => {
  // import torch; F = torch.nn.functional.cross_entropy
  // F(torch.tensor([[0., 3.]]).log_softmax(1), torch.tensor([0]), weight=torch.tensor([1., 4.]), label_smoothing=0.2)
  test("with class weights, as in PyTorch: (0.8·ln 4 + 0.1·(ln 4 + 4·ln 4/3))/1", async () => {
    const term = Losses.crossEntropy({ classWeights: [1, 4], labelSmoothing: 0.2 })
    const { loss } = await fixed([term], { ...ofOne, labels: [0, -1, 0, 0] })
    expect(loss).toBeCloseTo(0.8 * Math.log(4) + 0.1 * (Math.log(4) + 4 * Math.log(4 / 3)), 6)
  })
})

describe("rejected", () => {
  const refusal = (loss: TrainingOptions["loss"], data: Train.Batch, microBatches = 1) =>
    onOracle(
      Effect.flip(
        Effect.flatMap(trainerOf(loss, Policy.bptt, { microBatches }), (trainer) =>
          trainer.step(data, { update: 1, learningRate: 0.1 }),
        ),
      ),
    )
  const step = Losses.crossEntropy()
  test("labels that are not classes, with sample and step", async () => {
    const wrong = labels.slice()
    wrong[2 * batchSize + 4] = outputs
    expect(await refusal([step], { inputs, labels: wrong })).toMatchObject({
      ...{ _tag: "LabelError", what: "labels", sample: 4, step: 2, label: outputs, classes: outputs },
    })
    expect(await refusal({ mix: 0, target: "ones" }, { inputs, labels: ofSamples })).toMatchObject({
      ...{ _tag: "LabelError", sample: 1, label: -1 },
    })
  })
  test("labels and targets of the wrong size, or missing", async () => {
    const mean = Losses.crossEntropy({ over: "mean" })
    for (const [loss, data, what] of [
      [step, { inputs }, "labels"],
      [step, { inputs, labels: labels.subarray(1) }, "labels"],
      [mean, { inputs, labels }, "labels"],
      [huber, { inputs }, "targets"],
      [Losses.meanSquaredError({ over: "mean" }), { inputs, targets }, "targets"],
    ] as const)
      expect(await refusal([loss], data)).toMatchObject({ _tag: "InputError", what })
  })
  test("non-finite targets, with sample and step", async () => {
    const wrong = targets.slice()
    wrong[(3 * batchSize + 2) * outputs + 1] = Number.NaN
    expect(await refusal([huber], { inputs, targets: wrong })).toMatchObject({
      ...{ _tag: "InputError", what: "targets", sample: 2, position: [3, 1] },
    })
  })
  test("firing rates with micro-batches, class weights of the wrong length, no terms, unknown terms", async () => {
    expect(await refusal([Losses.firingRate({ rate: 1 })], batch, 2)).toMatchObject({ _tag: "ProgramError" })
    expect(await refusal([Losses.crossEntropy({ classWeights: [1] })], batch)).toMatchObject({ _tag: "ProgramError" })
    for (const loss of [[], [{ term: "hinge" }], [null], step])
      expect(await refusal(loss as never, batch)).toMatchObject({ _tag: "OptionError", option: "loss" })
    const changed = [{ ...step, weight: -1 }]
    expect(await refusal(changed, batch)).toMatchObject({ _tag: "OptionError", option: "weight", value: -1 })
  })
  test("unknown nodes, classes of a node that is not an output, ignored samples for a spike count", async () => {
    for (const term of [
      Losses.meanSquaredError({ node: "4" }),
      Losses.crossEntropy({ node: "0" }),
      Losses.firingRate({ rate: 1, node: "0" }),
      Losses.firingRateBounds({ rate: 1, node: "0" }),
    ])
      expect(await refusal([term], batch)).toMatchObject({ _tag: "OptionError", option: "node" })
    const none = { inputs, labels: ofSamples.map((_, i) => (i === 4 ? -1 : 0)) }
    expect(await refusal([Losses.spikeCount()], none)).toMatchObject({ _tag: "LabelError", sample: 4 })
  })
  test("options of terms", () => {
    for (const [make, option] of [
      [() => Losses.crossEntropy({ weight: 0 }), "weight"],
      [() => Losses.crossEntropy({ classWeights: [0, 0] }), "classWeights"],
      [() => Losses.meanSquaredError({ weight: 0 }), "weight"],
      [() => Losses.meanSquaredError({ weight: 1e-60 }), "weight"],
      [() => Losses.crossEntropy({ over: "steps" as never }), "over"],
      [() => Losses.firingRate({ rate: -1 }), "rate"],
      [() => Losses.firingRate({ rate: 1, at: 2 }), "at"],
      [() => Losses.firingRateBounds({ rate: 1, lower: 0.5, upper: 0.4 }), "upper"],
      [() => Losses.crossEntropy({ labelSmoothing: 1 }), "labelSmoothing"],
      [() => Losses.spikeCount({ correct: 2 }), "correct"],
      [() => Losses.own((y, target) => y.minus(target), { layers: true }), ""],
      [() => Losses.own((y) => y.plus(leaf("x2"))), "code"],
    ] as const)
      expect(make).toThrow(expect.objectContaining({ _tag: "OptionError", option }))
  })
})
