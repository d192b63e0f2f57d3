/** Networks of the library's own neurons as NIR: what is read back does the same, and what NIR cannot say is refused. */
import { describe, expect, test } from "bun:test"
import { layer } from "@spikeroute/backend-reference"
import {
  adaptiveLif,
  add,
  averagePool,
  batchNorm,
  conv2d,
  currentBasedLif,
  currentBasedReadout,
  delay,
  dropout,
  flatten,
  Graph,
  integrateAndFire,
  integrator,
  Key,
  klif,
  leakyReadout,
  lif,
  linear,
  Neuron,
  plif,
  recurrent,
  Shape,
  scale,
  Train,
} from "@spikeroute/core"
import { Effect } from "effect"
import * as Nir from "../src/index.ts"

const run = <A, E>(effect: Effect.Effect<A, E, never>) => Effect.runPromise(effect)

const initialized = (shape: Shape.Shape, network: Graph.Network): Nir.Network => {
  const graph = Graph.makeUnsafe(shape, network)
  const values = Train.initialize(graph, Key.make(3))
  const tensors = new Map(
    graph.parameters.map(({ name, shape }) => [name, { shape, values: values.get(name) as Float32Array }]),
  )
  return { graph, tensors }
}

const timeSteps = 12

/** The outputs of every step for noise, and the share of neurons that fire. */
const outputsOf = ({ graph, tensors }: Nir.Network) =>
  Effect.gen(function* () {
    const options = { batchSize: 2, timeSteps, encoding: "frames", outputs: "step" } as const
    const predictor = yield* Train.makePredictor(graph, options)
    yield* predictor.load(tensors)
    const inputs = Key.uniform(Key.make(5), new Float32Array(timeSteps * 2 * Shape.size(graph.input)))
    return yield* predictor.predict(inputs.map((u) => 3 * u))
  }).pipe(Effect.scoped, Effect.provide(layer))

/** Writes a network, reads it back, and compares what both give; the types of the nodes that were written. */
const roundTrip = async (network: Nir.Network, how: Nir.Discretisation) => {
  const document = await run(Nir.documentOf(network, how))
  const bytes = await run(Nir.write(document))
  const again = await run(Effect.flatMap(Nir.read(bytes, "x.nir"), (read) => Nir.networkOf(read, how)))
  const [ours, theirs] = [await run(outputsOf(network)), await run(outputsOf(again))]
  expect(theirs.outputs.length).toBe(ours.outputs.length)
  theirs.outputs.forEach((value, i) => {
    expect(Math.abs(value - (ours.outputs[i] as number))).toBeLessThan(1e-4)
  })
  expect(theirs.firingRates).toEqual(ours.firingRates)
  for (const rate of ours.firingRates) expect(rate).toBeGreaterThan(0)
  return [...(document.node.nodes as ReadonlyMap<string, Nir.NirNode>).values()].map(({ type }) => type)
}

const subtracting = { dt: 1e-3, reset: "subtract", compare: "atLeast" } as const
const hard = { reset: "hard" } as const

const kinds: Readonly<Record<string, readonly [Graph.Layer, type: string, Nir.Discretisation]>> = {
  lif: [lif({ tau: 3, ...hard }), "LIF", {}],
  "lif, exact": [lif({ tau: 3, ...hard }), "LIF", { scheme: "exact", dt: 1 }],
  "lif without memory": [lif({ tau: 1, ...hard }), "LIF", {}],
  "lif, soft reset": [lif({ tau: 3, threshold: 0.7 }), "LIF", subtracting],
  "lif without leak": [lif({ tau: Number.POSITIVE_INFINITY, ...hard }), "IF", {}],
  integrateAndFire: [integrateAndFire(hard), "IF", { dt: 1e-3 }],
  plif: [plif({ tau: 4, ...hard }), "LIF", {}],
  currentBasedLif: [currentBasedLif({ ...hard, resetPotential: 0.25, threshold: 2 }), "CubaLIF", {}],
  "currentBasedLif, jump, exact": [
    currentBasedLif({ ...hard, decayInput: true, currentDecay: [0.5, 0.6, 0.7] }),
    "CubaLIF",
    { synapse: "jump", scheme: "exact" },
  ],
  "a potential that starts elsewhere": [
    currentBasedLif({ ...hard, initial: { membrane: 0.5 } }),
    "CubaLIF",
    { dt: 1e-3 },
  ],
  leakyReadout: [leakyReadout({ tau: 5 }), "LI", {}],
  integrator: [integrator(), "I", { dt: 1 }],
  currentBasedReadout: [currentBasedReadout(), "CubaLI", { dt: 1 }],
  "a neuron of an application": [
    Neuron.make("own", {
      parameters: { decay: 0.75, rest: 0.1, threshold: 0.8 },
      states: ["v"],
      step: ({ x, before, p, spike }) => {
        const u = before.v.times(p.decay).plus(p.rest).plus(x.times(0.5))
        const fired = spike(u.minus(p.threshold))
        return { states: { v: Neuron.select(fired, -0.2, u) }, output: fired }
      },
    })({ threshold: [0.8, 0.9, 1] }),
    "LIF",
    {},
  ],
  scale: [scale(2.5), "Scale", {}],
}

for (const [name, [neuron, type, how]] of Object.entries(kinds))
  test(`${name} is ${type}`, async () => {
    const network = initialized(
      [2],
      Graph.sequential(linear({ features: 3, initial: { weight: { kind: "uniform", bound: 1.5 } } }), neuron),
    )
    expect(await roundTrip(network, how)).toEqual(["Input", "Affine", type, "Output"])
  })

test("images, recurrence, residuals, delays, dropout, several read-outs", async () => {
  const images = Graph.sequential(
    conv2d({ channels: 4, kernelSize: 3, padding: 1, bias: false }),
    lif({ tau: 2, threshold: 0.3, ...hard }),
    averagePool({ kernelSize: 2 }),
    flatten(),
    dropout(0.5),
    linear({ features: 3 }),
  )
  expect(await roundTrip(initialized([4, 6, 2], images), {})).toContain("Conv2d")
  const block = recurrent((x, fedBack) =>
    add(linear({ features: 5 })(x, "in"), linear({ features: 5, bias: false })(fedBack, "back")).pipe(lif(hard)),
  )
  const types = await roundTrip(
    initialized([3], (x) => {
      const hidden = x.pipe(block, delay({ steps: [0, 1, 2, 2, 1] }))
      const more = add(hidden, lif({ ...hard, threshold: 0.1 })(linear({ features: 5 })(hidden)))
      return { a: linear({ features: 2 })(more), b: leakyReadout()(linear({ features: 1 })(more)) }
    }),
    { dt: 1e-3 },
  )
  expect(types.filter((type) => type === "Output")).toHaveLength(2)
  expect(types).toContain("Delay")
})

describe("networks that NIR cannot represent are rejected, with the node", () => {
  const cases: Readonly<Record<string, readonly [Graph.Layer, Nir.Discretisation]>> = {
    "a reset by subtraction": [lif(), {}],
    "a reset to a value where readers subtract": [lif(hard), subtracting],
    "no reset": [lif({ reset: "none" }), {}],
    "no memory, in exact discretisation": [lif({ tau: 1, ...hard }), { scheme: "exact" }],
    "a current that does not decay": [currentBasedLif({ currentDecay: 1, ...hard }), {}],
    "a start that is not the resting potential": [
      currentBasedLif({ ...hard, initial: { membrane: 0.5 } }),
      { start: "leak" },
    ],
    adaptation: [adaptiveLif(), {}],
    "a potential that stays above 0": [klif(), {}],
    "a refractory period": [Neuron.refractory(currentBasedLif, 2)(hard), {}],
    "batch norm": [batchNorm(), {}],
    "a function": [
      (x, name) =>
        Neuron.make("cube", {
          parameters: {},
          states: [],
          surrogate: "none",
          step: ({ x }) => ({ states: {}, output: x.times(x).times(x) }),
        })()(x, name),
      {},
    ],
  }
  for (const [name, [refused, how]] of Object.entries(cases))
    test(name, async () => {
      const network = initialized([2], Graph.sequential(linear({ features: 3 }), refused, linear({ features: 2 })))
      expect(await run(Effect.flip(Nir.documentOf(network, how)))).toMatchObject({ _tag: "NirError", node: "1" })
    })
})
