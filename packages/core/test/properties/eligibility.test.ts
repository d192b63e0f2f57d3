/** e-prop against BPTT with the recurrent edges cut, for one layer of neurons of one, two or three states. */
import { describe, expect, test } from "bun:test"
import { Effect } from "effect"
import * as S from "../../src/index.ts"
import type { Arbitrary } from "../../src/testing/index.ts"
import { deviation, expectSameForward, programOf, train } from "./harness.ts"

const { add, Graph, linear, Neuron, Policy, recurrent } = S

/** Every float32 sum has its own order. */
const rounding = 1e-5

const workload = (settings: Partial<Arbitrary.Workload> = {}): Arbitrary.Workload => ({
  ...{ input: [1, 1, 6], pieces: [], readOut: { classes: 3, behind: [] }, batchSize: 3, timeSteps: 9 },
  ...{ encoding: "frames", loss: { mix: 0.3, target: "one-hot" }, seed: 5 },
  ...settings,
})

/** Input and what the layer fed back, each through a map, and a read-out without a state. */
const recurrentOf = (neurons: S.Graph.Layer): S.Graph.Graph =>
  Graph.makeUnsafe(
    [1, 1, 6],
    Graph.sequential(
      S.flatten(),
      recurrent((x, fedBack) =>
        add(linear({ features: 5 })(x, "in"), linear({ features: 5, bias: false })(fedBack, "back")).pipe(neurons),
      ),
      linear({ features: 3 }),
    ),
  )

const wide = { surrogate: { name: "fastSigmoid", alpha: 1 } } as const
const adaptive = S.adaptiveLif({ ...wide, decay: 0.8, adaptationDecay: 0.7, strength: 0.4, threshold: 2 })
const layers = {
  lif: S.lif({ ...wide, tau: 3, threshold: 3 }),
  "lif with a scaled input": Neuron.make("scaled", {
    parameters: { decay: 0.7 },
    states: ["membrane"],
    step: ({ x, before, p, spike }) => {
      const u = before.membrane.times(p.decay).plus(x.times(0.3))
      const output = spike(u.minus(1.2))
      return { states: { membrane: u.minus(Neuron.route("reset", output).times(1.2)) }, output }
    },
  })(wide),
  plif: S.plif({ ...wide, tau: 3, threshold: 3 }),
  currentBasedLif: S.currentBasedLif({ ...wide, currentDecay: 0.6, decay: 0.7, threshold: 8 }),
  "a learnt decay a neuron": S.currentBasedLif({ ...wide, decay: Neuron.learn(0.7, "element"), threshold: 8 }),
  adaptiveLif: adaptive,
  "adaptiveLif with a learnt strength": S.adaptiveLif({
    ...wide,
    strength: Neuron.learn(0.4, "channel"),
    threshold: 2,
  }),
} satisfies Readonly<Record<string, S.Graph.Layer>>

const holds = (graph: S.Graph.Graph, eprop: S.Policy.Policy, bptt: S.Policy.Policy, settings = {}) => {
  const found = train(workload(settings), eprop, { graph })
  const expected = train(workload(settings), bptt, { graph })
  expectSameForward(found, expected)
  expect(found.firingRates[0]).toBeWithin(0.1, 0.9)
  expect(deviation(found.gradients, expected.gradients, undefined, 1e-6)).toBeLessThan(rounding)
  const sltt = train(workload(settings), Policy.sltt, { graph })
  expect(deviation(sltt.gradients, expected.gradients)).toBeGreaterThan(0.02)
}

describe("one recurrent layer equals bptt with the recurrent edges cut", () => {
  const cut = Policy.bptt.pipe(Policy.detach("recurrent"))
  test.each(Object.entries(layers))("%s", (_, layer) => {
    const graph = recurrentOf(layer)
    holds(graph, Policy.eprop, cut.pipe(Policy.detach("reset")))
    holds(graph, Policy.eprop, cut.pipe(Policy.detach("reset")), { encoding: "static", seed: 7 })
  })
  test("including the reset", () => {
    for (const layer of [layers.lif, layers.adaptiveLif])
      holds(recurrentOf(layer), Policy.bptt.pipe(Policy.eligible), cut)
  })
  test("if only some steps are trained, traces are still updated at all steps", () => {
    const some = Policy.trainOn(S.Steps.every(2))
    holds(recurrentOf(layers.currentBasedLif), Policy.eprop.pipe(some), cut.pipe(Policy.detach("reset"), some))
  })
})

test("convolutions and images with factorised traces", () => {
  const graph = Graph.makeUnsafe(
    [4, 4, 1],
    Graph.sequential(
      S.conv2d({ channels: 3, kernelSize: 3, padding: 1 }),
      S.lif({ ...wide, tau: 3 }),
      S.averagePool({ kernelSize: 2 }),
      S.flatten(),
      linear({ features: 3 }),
    ),
  )
  for (const encoding of ["static", "frames"] as const)
    holds(graph, Policy.eprop, Policy.bptt.pipe(Policy.detach("reset")), { encoding })
})

test("memory does not depend on T", () => {
  for (const layer of Object.values(layers)) {
    const bytes = (timeSteps: number) =>
      programOf(workload({ timeSteps }), Policy.eprop, { graph: recurrentOf(layer) }).arenaBytes
    expect(bytes(50)).toBe(bytes(2))
  }
})

describe("layers that traces cannot reach are rejected", () => {
  const reason = (policy: S.Policy.Policy, ...between: ReadonlyArray<S.Graph.Layer>): string => {
    const network = Graph.sequential(
      S.conv2d({ channels: 2, kernelSize: 3 }),
      ...between,
      S.flatten(),
      linear({ features: 3 }),
    )
    const options = {
      batchSize: 3,
      timeSteps: 4,
      encoding: "frames",
      loss: S.defaultLoss,
      optimizer: S.Optimizer.sgd(),
    } as const
    const compiled = S.Program.compile(Graph.makeUnsafe([4, 4, 1], network), policy, options)
    const error = Effect.runSync(Effect.flip(compiled))
    expect(error).toMatchObject({ _tag: "PolicyError", policy: policy.name })
    return error.message
  }
  test("weights followed by anything other than a sum", () => {
    expect(reason(Policy.eprop, S.batchNorm(), S.lif())).toContain(
      "1 (batchNorm) lies between weights and the neurons 2",
    )
  })
  test("convolutions before adaptive neurons", () => {
    expect(reason(Policy.eprop, S.adaptiveLif())).toContain("0 (conv2d) leads to 1")
  })
  test.each([
    ["checkpoint", Policy.eprop.pipe(Policy.checkpoint())],
    ["truncate", Policy.eprop.pipe(Policy.truncate(2))],
    ["trace", Policy.eprop.pipe(Policy.detachAll, Policy.trace())],
  ])("%s", (part, policy) => {
    expect(reason(policy, S.lif())).toContain(part)
  })
  test("rates", () => {
    expect(reason(Policy.eprop.pipe(Policy.throughRates), S.lif())).toContain("eligible")
  })
})
