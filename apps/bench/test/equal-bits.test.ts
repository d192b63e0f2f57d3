/** The CPU kernels are bit-identical: in the forward direction on every backend, and in training for any number of threads. */
import { describe, expect, test } from "bun:test"
import { build, layer as native } from "@spikeroute/backend-native"
import { layer as wasm } from "@spikeroute/backend-wasm"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const options = {
  batchSize: 7,
  timeSteps: 4,
  loss: S.defaultLoss,
  optimizer: S.Optimizer.adam(),
  clipNorm: 0.5,
  key: S.Key.make(5),
} as const

/** Layers of every kind, with channel counts below, at and above the vector width, and multi-level values. */
const layers = S.Graph.makeUnsafe(
  [13, 11, 3],
  S.Graph.sequential(
    S.conv2d({ channels: 19, kernelSize: 3, padding: 1, bias: false }),
    S.batchNorm(),
    S.lif(),
    S.residual(
      S.Graph.sequential(
        S.conv2d({ channels: 19, kernelSize: 3, padding: 1 }),
        S.batchNorm(),
        S.lif({ reset: "hard" }),
      ),
    ),
    S.averagePool({ kernelSize: 2 }),
    S.conv2d({ channels: 40, kernelSize: 5, stride: 2, padding: 2 }),
    S.batchNorm(),
    S.plif({ threshold: 0.5 }),
    S.maxPool({ kernelSize: 2, padding: 1 }),
    S.flatten(),
    S.linear({ features: 33 }),
    S.lif({ threshold: 0.1 }),
    S.linear({ features: 5 }),
    S.leakyReadout(),
  ),
)

/** A recurrent layer, delays, and neurons with several states; scalar, per-channel and per-element parameters. */
const temporal = S.Graph.makeUnsafe(
  [13, 11, 3],
  S.Graph.sequential(
    S.conv2d({ channels: 5, kernelSize: 3, padding: 1 }),
    S.adaptiveLif({
      decay: S.Neuron.learn(0.8, "element"),
      strength: S.Neuron.learn(0.5, "channel"),
      adaptationDecay: S.Neuron.learn(0.9),
      threshold: 0.3,
    }),
    S.delay({ steps: [0, 1, 3, 0, 2] }),
    S.averagePool({ kernelSize: 4 }),
    S.flatten(),
    S.recurrent((x, fedBack) =>
      S.currentBasedLif({ threshold: 0.1 })(
        S.add(S.linear({ features: 33 })(x, "input"), S.linear({ features: 33, bias: false })(fedBack, "recurrent")),
      ),
    ),
    S.linear({ features: 5 }),
    S.leakyReadout(),
  ),
)

const numbers = (name: string, length: number) =>
  S.Key.uniform(S.Key.fold(S.Key.make(6), name), new Float32Array(length))

const batches = Array.from({ length: 3 }, (_, n) => ({
  inputs: numbers(`inputs ${n}`, 7 * 13 * 11 * 3).map((u) => 3 * u),
  labels: numbers(`labels ${n}`, 7).map((u) => Math.floor(5 * u)),
}))

/** Outputs, loss and firing rates of the first batch, and all state after three updates. */
const train = (network: S.Graph.Graph, policy: S.Policy.Policy) =>
  Effect.gen(function* () {
    const trainer = yield* S.Train.make(network, policy, options)
    const results: Array<S.Train.BatchResult> = []
    for (const [n, batch] of batches.entries())
      results.push(yield* trainer.step(batch, { update: n + 1, learningRate: 0.01 }))
    const tensors = yield* trainer.save
    return {
      first: results[0] as S.Train.BatchResult,
      tensors: [...tensors].map(([name, { values }]) => [name, Bun.hash(values)]),
    }
  }).pipe(Effect.scoped)

const machines = {
  ...Object.fromEntries([1, 2, 3].map((threads) => [`wasm, ${threads} threads`, wasm({ threads })])),
  ...((await build().catch(() => undefined)) === undefined
    ? {}
    : Object.fromEntries(
        ([16, 32, 64] as const).flatMap((vectorBytes) =>
          [1, 2, 3].map((threads) => [
            `native, ${vectorBytes}-byte vectors, ${threads} threads`,
            native({ threads, vectorBytes }),
          ]),
        ),
      )),
}

describe.each([S.Policy.bptt, S.Policy.sltt])("$name", (policy) => {
  test.each([
    ["layers of every kind", layers],
    ["networks in time", temporal],
  ])("equal bits: %s", async (_, network) => {
    const all = await Promise.all(
      Object.entries(machines).map(async ([name, layer]) => ({
        machine: name.slice(0, name.lastIndexOf(",")),
        ...(await Effect.runPromise(Effect.provide(train(network, policy), layer))),
      })),
    )
    const [one] = all as [(typeof all)[number]]
    for (const rate of one.first.firingRates) expect(rate).toBeWithin(0.02, 0.98)
    for (const { first } of all) expect(first).toEqual(one.first)
    for (const { machine, tensors } of all) {
      const same = all.find((other) => other.machine === machine)
      expect(tensors).toEqual(same?.tensors as typeof tensors)
    }
  })
})
