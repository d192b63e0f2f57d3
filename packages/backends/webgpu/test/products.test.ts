import { describe, expect, test } from "bun:test"
import {
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
  Train,
} from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { shared, withoutGpu } from "./device.ts"

// Large enough for the products' own ways: many rows and columns of a thread, words of spikes, sums that are split.
const graph = Graph.makeUnsafe(
  [12, 10, 3],
  Graph.sequential(
    conv2d({ channels: 40, kernelSize: 3, padding: 1 }),
    lif({ threshold: 0.3 }),
    conv2d({ channels: 24, kernelSize: 3, stride: 2, padding: 1 }),
    lif({ threshold: 0.3 }),
    conv2d({ channels: 32, kernelSize: 1, bias: false }),
    lif({ threshold: 0.2 }),
    maxPool({ kernelSize: 2 }),
    flatten(),
    linear({ features: 130 }),
    lif({ threshold: 0.2 }),
    linear({ features: 10 }),
  ),
)
const batch = {
  inputs: Key.uniform(Key.make(3), new Float32Array(48 * 360)),
  labels: Float32Array.from({ length: 48 }, (_, i) => i % 10),
}

/** Outputs and gradients of a batch under BPTT. */
const differentiated = Effect.gen(function* () {
  const trainer = yield* Train.make(graph, Policy.bptt, {
    batchSize: 48,
    timeSteps: 2,
    loss: defaultLoss,
    optimizer: Optimizer.options("sgd"),
    key: Key.make(0),
  })
  return yield* trainer.differentiate(batch, { update: 1 })
}).pipe(Effect.scoped)

const reference =
  withoutGpu === undefined ? await Effect.runPromise(Effect.provide(differentiated, Conformance.oracle())) : undefined

describe.skipIf(reference === undefined)(`products of some size ${withoutGpu ?? ""}`, () => {
  for (const [name, software] of [
    ["by tiles", false],
    ["without tiles", true],
  ] as const) {
    const { layer } = shared({ software })
    test(`${name}, spikes, outputs and gradients are the reference's`, async () => {
      const { gradients, outputs, firingRates } = await Effect.runPromise(Effect.provide(differentiated, layer))
      expect(firingRates).toEqual(reference!.firingRates.map((rate) => expect.closeTo(rate, 6)))
      expect(firingRates.every((rate) => rate > 0.03)).toBe(true)
      for (const [what, expected, found] of [
        ["outputs", reference!.outputs, outputs] as const,
        ...[...reference!.gradients].map(([key, values]) => [key, values, gradients.get(key)!] as const),
      ]) {
        const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
        const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0)
        expect(`${what}: ${worst / scale < 1e-4 ? "close" : worst / scale}`).toBe(`${what}: close`)
      }
    }, 60_000)
  }
})
