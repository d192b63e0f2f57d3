import { describe, expect, test } from "bun:test"
import {
  averagePool,
  batchNorm,
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
  Shape,
  Train,
} from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { shared, withoutGpu } from "./device.ts"

/** A network and a batch for it. */
interface Case {
  readonly shape: Shape.Shape
  readonly body: Parameters<typeof Graph.makeUnsafe>[1]
  readonly policy: Policy.Policy
  readonly batchSize: number
}

// Large enough for the products' own ways: many rows and columns of a thread, words of spikes, sums that are split.
const ordinary: Case = {
  shape: [12, 10, 3],
  body: Graph.sequential(
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
  policy: Policy.bptt,
  batchSize: 48,
}

// As many multiplications as Winograd's minimal filtering is worth on a GPU, forward too: the neurons are behind a batch norm.
const wide: Case = {
  shape: [32, 30, 2],
  body: Graph.sequential(
    conv2d({ channels: 64, kernelSize: 3, padding: 1 }),
    lif({ threshold: 0.2 }),
    conv2d({ channels: 72, kernelSize: 3, padding: 1, bias: false }),
    batchNorm(),
    lif({ threshold: 0.5 }),
    averagePool({ kernelSize: 4 }),
    flatten(),
    linear({ features: 10 }),
  ),
  policy: Policy.sltt,
  batchSize: 13,
}

/** Outputs and gradients of a batch. */
const differentiated = ({ shape, body, policy, batchSize }: Case) =>
  Effect.gen(function* () {
    const trainer = yield* Train.make(Graph.makeUnsafe(shape, body), policy, {
      ...{ batchSize, timeSteps: 2, loss: defaultLoss, optimizer: Optimizer.options("sgd"), key: Key.make(0) },
    })
    const inputs = Key.uniform(Key.make(3), new Float32Array(batchSize * Shape.size(shape)))
    const labels = Float32Array.from({ length: batchSize }, (_, i) => i % 10)
    return yield* trainer.differentiate({ inputs, labels }, { update: 1 })
  }).pipe(Effect.scoped)

const references = new Map<Case, ReturnType<typeof reference>>()
const reference = (network: Case) => Effect.runPromise(Effect.provide(differentiated(network), Conformance.oracle()))
/** What the reference backend makes of a batch, once. */
const rightOf = (network: Case) => {
  const right = references.get(network) ?? reference(network)
  references.set(network, right)
  return right
}

/** Memory that does not hold a product's factors at once. */
const little = { maxStorageBufferBindingSize: 2 ** 25, maxComputeWorkgroupStorageSize: 2 ** 14 }

describe.skipIf(withoutGpu !== undefined).each([
  ["by tiles", ordinary, false, {}],
  ["without tiles", ordinary, true, {}],
  ["transformed", wide, false, {}],
  ["transformed in chunks, by small tiles", wide, false, little],
] as const)(`products %s ${withoutGpu ?? ""}`, (_, network, software, limits) => {
  const { layer } = shared({ software }, limits)
  test("spikes, outputs and gradients are the reference's", async () => {
    const right = await rightOf(network)
    const { gradients, outputs, firingRates } = await Effect.runPromise(Effect.provide(differentiated(network), layer))
    expect(firingRates).toEqual(right.firingRates.map((rate) => expect.closeTo(rate, 6)))
    expect(firingRates.every((rate) => rate > 0.03)).toBe(true)
    for (const [what, expected, found] of [
      ["outputs", right.outputs, outputs] as const,
      ...[...right.gradients].map(([key, values]) => [key, values, gradients.get(key)!] as const),
    ]) {
      const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0)
      expect(`${what}: ${worst / scale < 1e-4 ? "close" : worst / scale}`).toBe(`${what}: close`)
    }
  }, 60_000)
})
