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
  Program,
  Shape,
  Train,
} from "@spikeroute/core"
import { Conformance } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { makeCommands } from "../src/commands.ts"
import type { Device } from "../src/index.ts"
import { shared, withoutGpu } from "./device.ts"

/** A network and a batch for it. */
interface Case {
  readonly shape: Shape.Shape
  readonly body: Parameters<typeof Graph.makeUnsafe>[1]
  readonly policy: Policy.Policy
  readonly batchSize: number
}

// Large enough for every path of the matrix product: several rows and columns per thread, words of spikes, a split depth.
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

// Large enough for Winograd's filtering on hardware, also in the forward pass because the neurons follow a batch norm.
const wide: Case = {
  shape: [32, 30, 2],
  body: Graph.sequential(
    conv2d({ channels: 64, kernelSize: 3, padding: 1 }),
    lif({ threshold: 0.2 }),
    conv2d({ channels: 128, kernelSize: 3, padding: 1, bias: false }),
    batchNorm(),
    lif({ threshold: 0.5 }),
    averagePool({ kernelSize: 4 }),
    flatten(),
    linear({ features: 10 }),
  ),
  policy: Policy.sltt,
  batchSize: 15,
}

const optionsOf = ({ batchSize }: Case) => ({
  ...{ batchSize, timeSteps: 2, loss: defaultLoss, optimizer: Optimizer.sgd(), key: Key.make(0) },
})

/** Outputs and gradients of a batch. */
const differentiated = (network: Case) =>
  Effect.gen(function* () {
    const { shape, body, policy, batchSize } = network
    const trainer = yield* Train.make(Graph.makeUnsafe(shape, body), policy, optionsOf(network))
    const inputs = Key.uniform(Key.make(3), new Float32Array(batchSize * Shape.size(shape)))
    const labels = Float32Array.from({ length: batchSize }, (_, i) => i % 10)
    return yield* trainer.differentiate({ inputs, labels }, { update: 1 })
  }).pipe(Effect.scoped)

/** Number of batched matrix products, which are those of Winograd's points. */
const batchesOf = async (network: Case, { info }: Device): Promise<number> => {
  const { shape, body, policy } = network
  const program = await Effect.runPromise(Program.compile(Graph.makeUnsafe(shape, body), policy, optionsOf(network)))
  const dispatches = Object.values(makeCommands(program, info, 256).segments).flat()
  return dispatches.reduce((sum, { linked }) => sum + linked.source.split("let member =").length - 1, 0)
}

const references = new Map<Case, ReturnType<typeof reference>>()
const reference = (network: Case) => Effect.runPromise(Effect.provide(differentiated(network), Conformance.oracle()))
/** The reference backend's results for a batch, computed once. */
const rightOf = (network: Case) => {
  const right = references.get(network) ?? reference(network)
  references.set(network, right)
  return right
}

/** Too little memory to hold all factors of a product at once. */
const little = { maxStorageBufferBindingSize: 2 ** 25, maxComputeWorkgroupStorageSize: 2 ** 14 }

describe.skipIf(withoutGpu !== undefined).each([
  ["by tiles", ordinary, false, {}, 0],
  ["without tiles", ordinary, true, {}, 0],
  // Forward, input gradient and weight gradient.
  ["Winograd, tiles of 128 rows", wide, false, {}, 3],
  ["Winograd in chunks, tiles of 64 rows", wide, false, little, 8],
] as const)(`products %s ${withoutGpu ?? ""}`, (_, network, software, limits, batches) => {
  const { device, layer } = shared({ software }, limits)
  test("spikes, outputs and gradients match the reference", async () => {
    expect(await batchesOf(network, await device())).toBe(batches)
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
