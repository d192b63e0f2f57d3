/** Tensor naming of other libraries. */
import { expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Graph, lif, linear, plif, Safetensors } from "@spikeroute/core"
import { Effect } from "effect"
import { loadWeights } from "../src/checkpoint.ts"
import type { PresetName } from "../src/presets.ts"
import { temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const graph = Graph.makeUnsafe([1], Graph.sequential(linear({ features: 2 }), lif(), linear({ features: 1 }), plif()))

const tensor = (shape: ReadonlyArray<number>, ...values: ReadonlyArray<number>) => ({
  shape,
  values: Float32Array.from(values),
})

/** The weights that the network loads from a file with these tensors, or the fields of the error. */
const taken = (tensors: Safetensors.TensorFile["tensors"], preset?: PresetName) => {
  const file = join(directory, "state.safetensors")
  writeFileSync(file, Safetensors.encode({ tensors, metadata: {} }))
  return Effect.runPromise(
    loadWeights(file, graph, preset).pipe(
      Effect.map(({ tensors }) => Object.fromEntries([...tensors].map(([name, { values }]) => [name, [...values]]))),
      Effect.catchTag("MismatchError", ({ missing, unexpected }) =>
        Effect.succeed({ missing: missing.map(({ name }) => name), unexpected: unexpected.map(({ name }) => name) }),
      ),
      Effect.provide(NodeServices.layer),
    ),
  )
}

const weights = new Map([
  ["0.weight", tensor([2, 1], 1, 2)],
  ["0.bias", tensor([2], 3, 4)],
  ["2.weight", tensor([1, 2], 5, 6)],
  ["2.bias", tensor([1], 7)],
  ["3.w", tensor([], 0.5)],
])
const ours = { "0.weight": [1, 2], "0.bias": [3, 4], "2.weight": [5, 6], "2.bias": [7], "3.w": [0.5] }

test("snnTorch: only neuron settings are left out", async () => {
  const theirs = new Map([...weights, ["1.beta", tensor([], 0.5)], ["1.threshold", tensor([], 1)]])
  expect(await taken(theirs)).toEqual({ missing: [], unexpected: ["1.beta", "1.threshold"] })
  expect(await taken(theirs, "snntorch")).toEqual(ours)
  const more = new Map([...theirs, ["4.weight", tensor([], 1)]])
  expect(await taken(more, "snntorch")).toEqual({ missing: [], unexpected: ["4.weight"] })
})

test("SpikingJelly: modules in containers are mapped to the names of the containers", async () => {
  const theirs = new Map([...weights].map(([name, each]) => [name.replace(/^2\./, "2.0."), each]))
  expect(await taken(theirs)).toMatchObject({ missing: ["2.weight", "2.bias"] })
  expect(await taken(theirs, "spikingjelly")).toEqual(ours)
})
