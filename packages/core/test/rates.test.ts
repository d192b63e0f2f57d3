/** Rate-based backpropagation: a network small enough for a pencil, and what it refuses. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  Backend,
  defaultLoss,
  delay,
  Graph,
  Losses,
  leakyReadout,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
  Steps,
} from "../src/index.ts"
import { Conformance } from "../src/testing/index.ts"

const options: Program.TrainingOptions = {
  batchSize: 1,
  timeSteps: 3,
  encoding: "frames",
  loss: { mix: 0, target: "ones" },
  optimizer: Optimizer.sgd(),
}

describe("λ = 1/2, inputs 1, 0, 1, resulting spikes 1, 0, 1", () => {
  const graph = Graph.makeUnsafe(
    [1],
    Graph.sequential(linear({ features: 1, bias: false }), lif({ tau: 2 }), linear({ features: 2 })),
  )
  const batch = (policy: Policy.Policy, loss: Program.TrainingOptions["loss"] = options.loss) =>
    Effect.gen(function* () {
      const program = yield* Program.compile(graph, policy, { ...options, loss })
      const executable = yield* (yield* Backend).prepare(program)
      yield* executable.write(Program.bufferNames.parameter("0.weight"), Float32Array.of(1))
      yield* executable.write(Program.bufferNames.parameter("2.weight"), Float32Array.of(1, -1))
      yield* executable.write(Program.bufferNames.labels, Float32Array.of(0))
      if (Array.isArray(loss)) yield* executable.write(Program.bufferNames.weights(0), Float32Array.of(1))
      yield* executable.run(Program.schedule(program, [0, 1, 2]).slice(0, -1), Float32Array.of(1, 0, 1))
      const read = (name: string) =>
        Effect.map(executable.read(Program.bufferNames.gradient(name)), (values) => [...values])
      const [loss_] = yield* executable.read(Program.bufferNames.metrics)
      return { loss: loss_, first: yield* read("0.weight"), readOut: yield* read("2.weight") }
    }).pipe(Effect.scoped, Effect.provide(Conformance.oracle()), Effect.runSync)

  // Firing at a rate of 2/3, the read-out's mean is ±2/3.
  const p = 1 / (1 + Math.exp(-4 / 3))

  test("the loss is that of the mean read-out, whose weights read the firing rate", () => {
    const { loss, readOut } = batch(Policy.rate)
    expect(loss).toBeCloseTo(-Math.log(p), 6)
    expect(readOut[0]).toBeCloseTo((2 / 3) * (p - 1), 6)
    expect(readOut[1]).toBeCloseTo((2 / 3) * (1 - p), 6)
  })
  test("g = 1, 0, 1 and φ = 1, 1, 3/2: the rate changes by 5/6 with the mean input 2/3", () => {
    expect(batch(Policy.rate).first[0]).toBeCloseTo((2 / 3) * (5 / 6) * 2 * (p - 1), 6)
  })
  test("without the route through the reset, φ = 1, 3/2, 7/4", () => {
    expect(batch(Policy.rate.pipe(Policy.detach("reset"))).first[0]).toBeCloseTo((2 / 3) * (11 / 12) * 2 * (p - 1), 6)
  })
  test("without the membrane, φ = 1, 1, 1", () => {
    expect(batch(Policy.rate.pipe(Policy.detachAll)).first[0]).toBeCloseTo((2 / 3) * (2 / 3) * 2 * (p - 1), 6)
  })
  test("a term over the mean is the same loss", () => {
    const { first, readOut } = batch(Policy.rate, [Losses.crossEntropy({ over: "mean" })])
    const expected = batch(Policy.rate)
    expect(first[0]).toBeCloseTo(expected.first[0]!, 6)
    expect(readOut[0]).toBeCloseTo(expected.readOut[0]!, 6)
  })
})

describe("networks and losses without a mean to differentiate are rejected", () => {
  const reason = (
    policy: Policy.Policy,
    layer: Graph.Layer = lif(),
    loss: Program.TrainingOptions["loss"] = defaultLoss,
  ) => {
    const graph = Graph.makeUnsafe([2], Graph.sequential(linear({ features: 3 }), layer, leakyReadout()))
    const error = Effect.runSync(Effect.flip(Program.compile(graph, policy, { ...options, loss })))
    expect(error).toMatchObject({ _tag: "PolicyError", policy: policy.name })
    return error.message
  }
  test.each([
    ["trace", Policy.rate.pipe(Policy.detachAll, Policy.trace(0.5))],
    ["checkpoint", Policy.rate.pipe(Policy.checkpoint())],
    ["truncate", Policy.rate.pipe(Policy.truncate(2))],
    ["trainOn", Policy.rate.pipe(Policy.trainOn(Steps.last(1)))],
  ])("%s", (part, policy) => {
    expect(reason(policy)).toContain(part)
  })
  test("values of earlier steps, with the name of the node", () => {
    expect(reason(Policy.rate, delay({ steps: 1 }))).toContain("1 returns values of earlier steps (delay)")
  })
  test("terms of a loss over steps", () => {
    expect(reason(Policy.rate, lif(), [Losses.crossEntropy()])).toContain('the term crossEntropy must be over: "mean"')
  })
})
