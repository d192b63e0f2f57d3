/** Networks with several outputs, and predictions that give values of every step. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  adaptiveLif,
  delay,
  flatten,
  Graph,
  Key,
  Losses,
  leakyReadout,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
  Train,
} from "../src/index.ts"
import { onOracle } from "./support.ts"

const [batchSize, timeSteps] = [3, 4]
const options = { batchSize, timeSteps, encoding: "frames" } as const

const heads = Graph.makeUnsafe([5], (x) => {
  const features = x.pipe(linear({ features: 8 }), lif())
  return {
    digit: features.pipe(Graph.named("classes", linear({ features: 4 })), leakyReadout()),
    angle: features.pipe(Graph.named("turn", linear({ features: 2 }))),
  }
})

const drawn = (name: string, length: number) => Key.normal(Key.fold(Key.make(7), name), new Float32Array(length))
const inputs = drawn("inputs", timeSteps * batchSize * 5).map((value) => 2 * value)
const labels = { digit: Float32Array.of(0, 3, 1) }
const targets = { angle: drawn("targets", timeSteps * batchSize * 2) }
const loss = [Losses.crossEntropy({ over: "mean" }), Losses.meanSquaredError({ node: "angle" })]

const trainerOf = (graph: Graph.Graph, terms: ReadonlyArray<Losses.LossTerm>, policy = Policy.bptt) =>
  Train.make(graph, policy, { ...options, loss: terms, optimizer: Optimizer.adam(), key: Key.make(1) })

const add = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + b[i]!)

describe("several outputs", () => {
  test("each has its own terms and targets: losses and gradients are the sums of those of single outputs", () =>
    onOracle(
      Effect.gen(function* () {
        for (const policy of [Policy.bptt, Policy.sltt]) {
          const [both, first, second] = yield* Effect.forEach([loss, [loss[0]!], [loss[1]!]], (terms) =>
            Effect.flatMap(trainerOf(heads, terms, policy), (trainer) =>
              trainer.differentiate({ inputs, labels, targets }, { update: 1 }),
            ),
          )
          expect(both!.loss).toBeCloseTo(first!.loss + second!.loss, 5)
          expect(both!.named!.digit).toEqual(both!.outputs)
          for (const [name, values] of both!.gradients)
            add(first!.gradients.get(name)!, second!.gradients.get(name)!).forEach((value, i) => {
              expect(values[i]).toBeCloseTo(value, 5)
            })
          expect(first!.gradients.get("turn.weight")!.every((value) => value === 0)).toBe(true)
        }
      }),
    ))

  test("predictions return them by name, after training, from a graph that was stored as JSON", () =>
    onOracle(
      Effect.gen(function* () {
        const trainer = yield* trainerOf(heads, loss)
        for (let update = 1; update <= 3; update++)
          yield* trainer.step({ inputs, labels, targets }, { update, learningRate: 0.01 })
        const read = yield* Graph.fromJson(JSON.parse(JSON.stringify(Graph.toJson(heads))))
        const predictor = yield* Train.makePredictor(read, { ...options, outputs: "step" })
        const summed = yield* Train.makePredictor(heads, { ...options, microBatches: 3 })
        const tensors = yield* trainer.save
        yield* Effect.all([predictor.load(tensors), summed.load(tensors)])
        const { outputs, named } = yield* predictor.predict(inputs)
        expect(Object.keys(named!)).toEqual(["digit", "angle"])
        expect(named!.digit).toEqual(outputs)
        expect(named!.angle).toHaveLength(timeSteps * batchSize * 2)
        const sum = yield* summed.predict(inputs)
        for (let i = 0; i < batchSize * 2; i++) {
          const steps = Array.from({ length: timeSteps }, (_, t) => named!.angle![t * batchSize * 2 + i]!)
          expect(sum.named!.angle![i]).toBeCloseTo(
            steps.reduce((total, value) => total + value),
            5,
          )
        }
      }),
    ))

  test("the gradient of a second output equals central differences", () =>
    onOracle(
      Effect.gen(function* () {
        const trainer = yield* trainerOf(heads, [loss[1]!])
        const batch = { inputs, targets }
        const buffer = Program.bufferNames.parameter("turn.bias")
        const at = (value: number) =>
          Effect.gen(function* () {
            yield* trainer.executable.write(buffer, Float32Array.of(value, 0))
            return yield* trainer.differentiate(batch, { update: 1 })
          })
        const slope = ((yield* at(0.05)).loss - (yield* at(-0.05)).loss) / 0.1
        expect(slope).toBeCloseTo((yield* at(0)).gradients.get("turn.bias")![0]!, 3)
      }),
    ))

  test("invalid names are rejected, from code and from JSON", () => {
    const made = (network: Graph.Network) => () => Graph.makeUnsafe([3], network)
    const one = (x: Graph.Tensor) => x.pipe(linear({ features: 2 }))
    for (const [network, reason] of [
      [(x: Graph.Tensor) => ({ a: one(x), "1": one(x) }), "whole number"],
      [(x: Graph.Tensor) => ({ a: one(x), linear1: one(x) }), "has the name of another value"],
      [(x: Graph.Tensor) => [one(x)].map((y) => ({ a: y, b: y }))[0]!, "two outputs are the node"],
      [() => ({}), "return a tensor"],
      [(x: Graph.Tensor) => ({ a: one(x), b: x }), "is not a node"],
    ] as const)
      expect(made(network as Graph.Network)).toThrow(reason)
    const json = { ...Graph.toJson(heads), outputs: { angle: "turn", digit: heads.output } }
    expect(Effect.runSync(Effect.flip(Graph.fromJson(json)))).toMatchObject({ _tag: "GraphError" })
  })

  test("missing labels and targets are named", () =>
    onOracle(
      Effect.gen(function* () {
        const trainer = yield* trainerOf(heads, loss)
        for (const [batch, what] of [
          [{ inputs, labels }, "targets.angle"],
          [{ inputs, labels: { angle: labels.digit }, targets }, "labels.digit"],
          [{ inputs, labels: labels.digit, targets: targets.angle }, "targets.angle"],
        ] as const) {
          const error = yield* Effect.flip(trainer.step(batch, { update: 1, learningRate: 0.1 }))
          expect(error).toMatchObject({ _tag: "InputError", what })
        }
      }),
    ))
})

test("scores follow the terms: accuracy for classes, squared error for numbers, per step or reduced", () => {
  const program = Effect.runSync(Program.compileInference(heads, { batchSize: 2, timeSteps: 2, outputs: "step" }))
  // Two steps of two samples: their means have the classes 1 and 0, their steps 0, 0 and 1, 3.
  const digit = Float32Array.of(1, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1)
  const angle = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  const score = (terms: ReadonlyArray<Losses.LossTerm>, batch: Pick<Train.Batch, "labels" | "targets">) =>
    Train.scores(program, terms, { outputs: digit, named: { digit, angle } }, batch)
  expect(
    score(loss, { labels: { digit: Float32Array.of(1, 2) }, targets: { angle: angle.map((x) => x + 2) } }),
  ).toEqual({
    ...{ digit: { accuracy: 0.5 }, angle: { meanSquaredError: 4 } },
  })
  const last = [Losses.crossEntropy(), Losses.meanSquaredError({ over: "last", node: "angle" })]
  const bySteps = { labels: Float32Array.of(0, -1, 1, 2), targets: { angle: Float32Array.of(5, 6, 7, 9) } }
  expect(score(last, bySteps)).toEqual({ digit: { accuracy: 2 / 3 }, angle: { meanSquaredError: 1 / 4 } })
  expect(score([Losses.spikeCount({ node: "digit" })], { labels: Float32Array.of(1, 0) })).toEqual({
    digit: { accuracy: 1 },
  })
})

describe("recorded", () => {
  test("spikes, membranes after the reset, delayed and time-invariant values, of every step and sample", () =>
    onOracle(
      Effect.gen(function* () {
        const graph = Graph.makeUnsafe(
          [2],
          Graph.sequential(
            flatten(),
            lif({ tau: 2 }),
            lif({ reset: "hard" }),
            adaptiveLif({ decay: 0.5, adaptationDecay: 0.5, strength: 0.25 }),
            delay({ steps: 2 }),
          ),
        )
        const record = ["1", "1.membrane", "2.membrane", "3.membrane", "3.adaptation", "3", "4"]
        const predictor = yield* Train.makePredictor(graph, { ...options, batchSize: 2, microBatches: 2, record })
        const given = Float32Array.of(1.5, 0.2, 0, 0.4, 1.5, 0.2, 0, 0.4, 1.5, 0.2, 0, 0.4, 1.5, 0.2, 0, 0.4)
        const { recorded } = yield* predictor.predict(given)
        // u = v/2 + 1.5 fires at every step, and v = u − 1: 0.5, 0.75, 0.875, 0.9375; the others of the first sample and the second never do.
        const [v, s] = [recorded!["1.membrane"]!, recorded!["1"]!]
        expect([0, 1, 2, 3].map((t) => v[4 * t])).toEqual([0.5, 0.75, 0.875, 0.9375])
        expect([0, 1, 2, 3].map((t) => Array.from(s.subarray(4 * t, 4 * t + 4)))).toEqual(Array(4).fill([1, 0, 0, 0]))
        expect([0, 1, 2, 3].map((t) => v[4 * t + 3]!.toFixed(3))).toEqual(["0.400", "0.600", "0.700", "0.750"])
        // A hard reset leaves 0.
        expect([0, 1, 2, 3].map((t) => recorded!["2.membrane"]![4 * t])).toEqual([0, 0, 0, 0])
        // The threshold rises with every spike: 1 ≥ 1 fires; 1 ≥ 1.25 does not, …
        expect(recorded!["3.adaptation"]).toHaveLength(4 * 4)
        expect([0, 1].map((t) => recorded!["3"]![4 * t])).toEqual([1, 0])
        expect([0, 1, 2, 3].map((t) => recorded!["4"]![4 * t])).toEqual([0, 0, 1, 0])
      }),
    ))
  test("time-invariant values, for every step", () =>
    onOracle(
      Effect.gen(function* () {
        const graph = Graph.makeUnsafe([2], Graph.sequential(linear({ features: 1 }), lif()))
        const predictor = yield* Train.makePredictor(graph, { batchSize: 1, timeSteps: 3, record: ["0"] })
        const { recorded } = yield* predictor.predict([1, 2])
        expect(new Set(recorded!["0"])).toHaveProperty("size", 1)
        expect(recorded!["0"]).toHaveLength(3)
      }),
    ))
  test("unknown names of nodes or states", async () => {
    const given = { ...options, record: ["turn", "lif1.membran"] }
    const error = Effect.runSync(Effect.flip(Program.compileInference(heads, given)))
    expect(error).toMatchObject({ _tag: "OptionError", option: "record", similar: "lif1.membrane" })
  })
})
