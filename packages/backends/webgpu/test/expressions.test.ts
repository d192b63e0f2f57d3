import { describe, expect, test } from "bun:test"
import {
  type Backend,
  defaultLoss,
  elementwise,
  Graph,
  Key,
  linear,
  Neuron,
  Optimizer,
  Policy,
  Program,
  Train,
} from "@spikeroute/core"
import { makePredictor } from "@spikeroute/core/infer"
import { Conformance } from "@spikeroute/core/testing"
import { Effect, type Layer } from "effect"
import { makeCommands } from "../src/commands.ts"
import type { Gpu } from "../src/index.ts"
import { shared, withoutGpu } from "./device.ts"

const bend = elementwise("bend", (x) => Neuron.tanh(x.times(2)))
const neurons = Neuron.make("own", {
  parameters: { decay: Neuron.learn(0.7, "channel"), threshold: 0.3 },
  states: ["membrane", "fired"],
  step: ({ x, before, p, spike }) => {
    const u = before.membrane.times(p.decay).plus(Neuron.tanh(x)).minus(before.fired.times(0.1))
    const fired = spike(u.minus(p.threshold))
    return { states: { membrane: u.minus(fired.times(p.threshold)), fired }, output: fired }
  },
})

const graph = Graph.makeUnsafe(
  [60],
  Graph.sequential(
    bend,
    bend,
    linear({ features: 40 }),
    neurons({ decay: 0.7 }),
    linear({ features: 70 }),
    neurons(),
    linear({ features: 3 }),
  ),
)
const options = { batchSize: 3, timeSteps: 4, loss: defaultLoss, optimizer: Optimizer.sgd() } as const

const differentiated = Effect.gen(function* () {
  const trainer = yield* Train.make(graph, Policy.bptt, { ...options, key: Key.make(0) })
  const inputs = Key.uniform(Key.make(1), new Float32Array(options.batchSize * 60))
  return yield* trainer.differentiate({ inputs, labels: Float32Array.of(0, 1, 2) }, { update: 1 })
}).pipe(Effect.scoped)

/** Sums of products, which change if a product is fused into the sum, and constants without a WGSL literal. */
const exact = elementwise("exact", (x) => {
  const sum = x.times(0.7).plus(x.times(x)).minus(x.times(-0.3)).plus(Neuron.maximum(x, -1e39))
  return Neuron.minimum(sum, 1e39).plus(Neuron.maximum(x.times(-3e-39), -0))
})
const features = 1000
const predicted = Effect.gen(function* () {
  const { predict } = yield* makePredictor(Graph.makeUnsafe([features], exact), { batchSize: 2, timeSteps: 1 })
  return yield* predict(Key.uniform(Key.make(2), new Float32Array(2 * features)))
}).pipe(Effect.scoped)

/** Results of the reference backend and of the GPU. */
const both = async <A, E>(body: Effect.Effect<A, E, Backend>, layer: Layer.Layer<Backend>) => [
  await Effect.runPromise(Effect.provide(body, Conformance.oracle())),
  await Effect.runPromise(Effect.provide(body, layer)),
]

const limits = { maxComputeWorkgroupStorageSize: 2 ** 14 } as Gpu.AdapterInfo["limits"]

test("expression neurons are fused into the layer that feeds them, and their backward pass into the layer that produces their gradient", async () => {
  const program = await Effect.runPromise(Program.compile(graph, Policy.bptt, options))
  const { segments } = makeCommands(program, { software: true, subgroups: false, limits }, 256)
  const kernels = (name: Program.SegmentName) => [
    ...new Set(
      segments[name].flatMap(({ placed }) =>
        placed.map(({ instruction }) => instruction.instructions.map(({ kernel }) => kernel).join(" → ")),
      ),
    ),
  ]
  const begun = kernels("begin")
  expect(begun).toContain("elementwise.forward → elementwise.forward")
  expect(begun).toContain("linear.forward")
  expect(kernels("keep")).toContain("linear.forward → elementwise.forward")
  // The gradient of a learnt decay is summed in passes of its own.
  expect(kernels("backward")).toContain("linear.inputGradient → elementwise.backward")
})

describe.skipIf(withoutGpu !== undefined).each([true, false])(
  `expressions, software %p ${withoutGpu ?? ""}`,
  (software) => {
    const { layer } = shared({ software })

    test("sums and products are bit-identical to the reference", async () => {
      const [right, found] = await both(predicted, layer)
      expect(found?.outputs).toEqual(right?.outputs as Float32Array)
    })

    test("spikes, outputs and gradients of a network match the reference", async () => {
      const [right, found] = await both(differentiated, layer)
      expect(found?.firingRates).toEqual(right?.firingRates.map((rate) => expect.closeTo(rate, 6)) as Array<number>)
      expect(found?.firingRates.every((rate) => rate > 0.03)).toBe(true)
      for (const [name, expected] of [["outputs", right!.outputs] as const, ...right!.gradients]) {
        const values = name === "outputs" ? found!.outputs : found!.gradients.get(name)!
        const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
        const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0)
        expect({ name, isClose: worst <= 1e-5 * scale }).toEqual({ name, isClose: true })
      }
    })
  },
)
