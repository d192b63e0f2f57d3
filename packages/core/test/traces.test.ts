/** Online training through time on a network small enough for a pencil. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import {
  add,
  Backend,
  defaultLoss,
  flatten,
  Graph,
  leakyReadout,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
} from "../src/index.ts"
import { Conformance } from "../src/testing/index.ts"

const graph = Graph.makeUnsafe(
  [1],
  Graph.sequential(linear({ features: 1, bias: false }), lif({ tau: 2 }), linear({ features: 2 })),
)

const options: Program.TrainingOptions = {
  batchSize: 1,
  timeSteps: 3,
  encoding: "frames",
  loss: { mix: 0, target: "ones" },
  optimizer: Optimizer.sgd(),
}

/** Gradients of a batch of class 0, by parameter. */
const gradients = (policy: Policy.Policy, frames: ReadonlyArray<number>, readOut: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const program = yield* Program.compile(graph, policy, options)
    const executable = yield* (yield* Backend).prepare(program)
    yield* executable.write(Program.bufferNames.parameter("0.weight"), Float32Array.of(1))
    yield* executable.write(Program.bufferNames.parameter("2.weight"), Float32Array.from(readOut))
    yield* executable.write(Program.bufferNames.labels, Float32Array.of(0))
    yield* executable.run(Program.schedule(program, [0, 1, 2]).slice(0, -1), Float32Array.from(frames))
    const read = (name: string) =>
      Effect.map(executable.read(Program.bufferNames.gradient(name)), (values) => [...values])
    return { first: yield* read("0.weight"), readOut: yield* read("2.weight"), bias: yield* read("2.bias") }
  }).pipe(Effect.scoped, Effect.provide(Conformance.oracle()), Effect.runSync)

describe("λ = 1/2, inputs 1, 0, 1, resulting spikes 1, 0, 1", () => {
  // With a read-out of 0 both classes have probability 1/2, so ∂y = (−1/2, 1/2)/3 at every step.
  const frames = [1, 0, 1]
  test("the read-out's weight gradient uses the trace 1, 1/2, 5/4", () => {
    const { readOut, bias } = gradients(Policy.ottt, frames, [0, 0])
    const sum = 1 + 1 / 2 + 5 / 4
    expect(readOut[0]).toBeCloseTo(-sum / 6, 6)
    expect(readOut[1]).toBeCloseTo(sum / 6, 6)
    expect(bias[1]).toBeCloseTo(3 / 6, 6)
  })
  test("with sltt it uses the spikes", () => {
    expect(gradients(Policy.sltt, frames, [0, 0]).readOut[1]).toBeCloseTo(2 / 6, 6)
  })
  test("the first weight layer uses its input, because no neuron precedes it", () => {
    const first = gradients(Policy.sltt, frames, [1, -1]).first
    expect(gradients(Policy.ottt, frames, [1, -1]).first).toEqual(first)
    // u = 1, 0, 1 and g(0) = 1, g(−1) = 0: ∂u = ∂y₁ − ∂y₂ where it fired, with p₁ = 1/(1 + e⁻²).
    expect(first[0]).toBeCloseTo((2 * 2 * (1 / (1 + Math.exp(-2)) - 1)) / 3, 6)
  })
  test("a custom decay: 1, 1, 2", () => {
    expect(gradients(Policy.sltt.pipe(Policy.trace(1)), frames, [0, 0]).readOut[1]).toBeCloseTo(4 / 6, 6)
  })
})

test("a weight layer whose input comes from neurons with different decays requires an explicit decay", () => {
  const branches = Graph.makeUnsafe([4, 1, 1], (x) =>
    add(x.pipe(lif({ tau: 2 })), x.pipe(leakyReadout({ tau: 4 }))).pipe(flatten(), linear({ features: 2 })),
  )
  const compile = (policy: Policy.Policy) =>
    Effect.runSync(
      Program.compile(branches, policy, { ...options, loss: defaultLoss }).pipe(
        Effect.match({ onSuccess: () => undefined, onFailure: (error) => error }),
      ),
    )
  expect(compile(Policy.ottt)).toMatchObject({
    _tag: "PolicyError",
    policy: "ottt",
    reason: expect.stringContaining("Policy.trace(0.5)"),
  })
  expect(compile(Policy.sltt.pipe(Policy.trace(0.5)))).toBeUndefined()
})
