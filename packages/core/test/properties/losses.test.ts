/** Losses of terms over random networks: under every policy, their gradients are what the tape differentiates. */
import { expect, test } from "bun:test"
import * as fc from "fast-check"
import { type Graph, Key, Losses, Neuron, Shape } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { expectAgreement, type OfTerms, onSteadyTape, runs, train } from "./harness.ts"

const over = fc.constantFrom<Losses.Over[]>("step", "sum", "mean", "last", "max")
const weight = fc.constantFrom(0.5, 1, 2)

/** A term by what it is called; of the nodes of a network, one is chosen by a number. */
const drawnTerm = fc.oneof(
  fc.record({
    kind: fc.constant("crossEntropy" as const),
    ...{ over, weight, weighted: fc.boolean(), labelSmoothing: fc.constantFrom(0, 0.1) },
  }),
  fc.record({ kind: fc.constantFrom("meanSquaredError" as const, "layers" as const), over, weight }),
  fc.record({ kind: fc.constant("own" as const), over, weight, node: fc.nat() }),
  fc.record({ kind: fc.constant("spikeCount" as const), correct: fc.constantFrom(1, 0.7) }),
  fc.record({ kind: fc.constant("firingRate" as const), rate: weight }),
  fc.record({ kind: fc.constant("bounds" as const), rate: weight, lower: fc.constantFrom(0, 0.27) }),
)

type DrawnTerm = typeof drawnTerm extends fc.Arbitrary<infer A> ? A : never

const ripple = (y: Neuron.Expression) => Neuron.tanh(y).times(y.plus(0.5))

const termOf = (drawn: DrawnTerm, graph: Graph.Graph, classes: number): Losses.LossTerm => {
  const activations = graph.nodes.filter(({ name }) => graph.types.get(name)?.batched)
  switch (drawn.kind) {
    case "crossEntropy": {
      const { kind: _, weighted, labelSmoothing, ...options } = drawn
      return Losses.crossEntropy({
        ...options,
        ...(weighted && { classWeights: Array.from({ length: classes }, (_, c) => 0.5 + (c % 3)) }),
        labelSmoothing,
      })
    }
    case "meanSquaredError":
      return Losses.meanSquaredError({ over: drawn.over, weight: drawn.weight })
    case "layers":
      return Losses.own(ripple, { over: drawn.over, weight: drawn.weight, layers: true })
    case "own": {
      const node = activations[drawn.node % activations.length]!.name
      return Losses.own(ripple, { over: drawn.over, weight: drawn.weight, node })
    }
    case "spikeCount":
      return Losses.spikeCount({ correct: drawn.correct, incorrect: 0.2 })
    case "firingRate":
      return Losses.firingRate({ rate: drawn.rate, at: 0.3 })
    case "bounds":
      return Losses.firingRateBounds({ rate: drawn.rate, lower: drawn.lower, upper: 0.61 })
    default:
      return drawn satisfies never
  }
}

/** Terms with a batch that tells them what they ask for: of samples, or of steps where all of them take steps. */
const termsOf = (workload: Arbitrary.Workload, drawn: ReadonlyArray<DrawnTerm>): OfTerms => {
  const graph = Arbitrary.graphOf(workload)
  const { batchSize, timeSteps, seed } = workload
  const classes = Shape.size(graph.types.get(graph.output)!.shape)
  const isOfSteps = (kinds: ReadonlyArray<DrawnTerm["kind"]>) =>
    drawn.every((each) => !kinds.includes(each.kind) || ("over" in each && each.over === "step"))
  const mayNotCount = drawn.every(({ kind }) => kind !== "spikeCount")
  const samples = (isOfSteps(["crossEntropy", "spikeCount"]) ? timeSteps : 1) * batchSize
  const key = Key.fold(Key.make(seed), "told")
  const labels = Key.uniform(Key.fold(key, "labels"), new Float32Array(samples)).map((u) => {
    const label = Math.floor(u * (classes + 1)) - 1
    return label < 0 && !mayNotCount ? 0 : label
  })
  const targets = new Float32Array((isOfSteps(["meanSquaredError"]) ? timeSteps : 1) * batchSize * classes)
  return {
    loss: drawn.map((each) => termOf(each, graph, classes)),
    ...{ labels, targets: Key.normal(Key.fold(key, "targets"), targets) },
  }
}

/** Losses that a network hardly moves say little: in float32 the slope of a saturated surrogate is a difference of equal numbers. */
const isFelt = ({ gradients }: { readonly gradients: ReadonlyMap<string, ReadonlyArray<number>> }): boolean =>
  [...gradients.values()].some((values) => values.some((value) => Math.abs(value) > 0.01))

test("the gradients of any terms under any policy equal the tape's", () => {
  const kinds = new Map<string, number>()
  fc.assert(
    fc.property(
      Arbitrary.workload({ maxTimeSteps: 4 }),
      Arbitrary.policy(),
      fc.array(drawnTerm, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      (workload, choice, drawn, hoist) => {
        const settings = { terms: termsOf(workload, drawn), hoist }
        const policy = Arbitrary.policyOf(choice, workload)
        const tape = onSteadyTape(workload, policy, settings)
        fc.pre(isFelt(tape))
        expectAgreement(train(workload, policy, settings), tape)
        for (const each of drawn) {
          const name = "over" in each ? `${each.kind} ${each.over}` : each.kind
          kinds.set(name, (kinds.get(name) ?? 0) + 1)
        }
      },
    ),
    runs(40),
  )
  expect(kinds.size).toBeGreaterThan(14)
}, 60_000)
