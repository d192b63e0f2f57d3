/** Operation counts of networks with known weights and spikes. */
import { expect, test } from "bun:test"
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"
import { constants, countOperations, fanOut, observed } from "../src/operations.ts"

test("zero weights are not counted as connections: compared with a naive convolution loop", () => {
  const [side, inputs, outputs, kernel, groups] = [5, 4, 6, 3, 2]
  const weight = [kernel, kernel, inputs / groups, outputs]
  const values = S.Key.uniform(S.Key.make(1), new Float32Array(S.Shape.size(weight))).map((u) => (u < 0.4 ? 0 : u))
  const geometry = { stride: 2, padding: 1, groups }
  const expected = new Float64Array(side * side * inputs)
  const out = Math.floor((side + 2 - kernel) / 2) + 1
  for (let oy = 0; oy < out; oy++)
    for (let ox = 0; ox < out; ox++)
      for (let a = 0; a < kernel; a++)
        for (let b = 0; b < kernel; b++)
          for (let c = 0; c < inputs; c++)
            for (let o = 0; o < outputs; o++) {
              const [y, x] = [2 * oy + a - 1, 2 * ox + b - 1]
              const [perGroup, group] = [inputs / groups, Math.floor(c / (inputs / groups))]
              if (y < 0 || x < 0 || y >= side || x >= side || Math.floor(o / (outputs / groups)) !== group) continue
              const own = values[((a * kernel + b) * perGroup + (c % perGroup)) * outputs + o]
              if (own !== 0) expected[(y * side + x) * inputs + c]! += 1
            }
  expect(fanOut([side, side, inputs], weight, geometry, values)).toEqual(expected)
})

/** Operations of a network with input [2] and these parameters, over three steps of one static sample. */
const counted = (
  network: S.Graph.Layer,
  parameters: Readonly<Record<string, ReadonlyArray<number>>>,
  input: ReadonlyArray<number>,
) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const graph = yield* S.Graph.make([2], network)
      const predictor = yield* S.Train.makePredictor(graph, { batchSize: 2, timeSteps: 3, observe: observed(graph) })
      const tensors = new Map(
        graph.parameters.map(({ name, shape }) => [name, { shape, values: Float32Array.from(parameters[name] ?? []) }]),
      )
      yield* predictor.load(tensors)
      // The second sample pads the batch and is not counted.
      return yield* countOperations(predictor, graph, tensors, Float32Array.of(...input, 9, 9), 1)
    }).pipe(Effect.scoped, Effect.provide(layer)),
  )

const neuron = { tau: 1, threshold: 1 }

test("hand-computed: the first layer runs once, spikes are accumulated, zeros are skipped", async () => {
  const network = S.Graph.sequential(
    S.linear({ features: 2, bias: false }),
    S.lif(neuron),
    S.linear({ features: 3, bias: false }),
  )
  // Inputs 1 and 0: the first neuron receives 2 and fires at all three steps; the second receives 0 and never fires.
  const parameters = { "0.weight": [2, 0, 5, 5], "2.weight": [1, 0, 3, 1, 1, 1] }
  const { layers, ...total } = await counted(network, parameters, [1, 0])
  expect(
    layers.map(({ layer, ...each }) => [
      layer,
      each.effectiveMACs,
      each.effectiveACs,
      each.denseOperations,
      each.membraneUpdates,
    ]),
  ).toEqual([
    ["0", 1, 0, 4, 0],
    ["1", 0, 0, 0, 6],
    ["2", 0, 6, 18, 0],
  ])
  expect(total.constants).toBe(constants)
  expect(total.energyMicrojoules).toBeCloseTo(1e-6 * (4.6 * (1 + 6) + 0.9 * 6), 12)
})

test("hand-computed: a recurrent edge carries the spikes of the previous step", async () => {
  const network = S.Graph.sequential(
    S.recurrent((x, fedBack) => S.lif(neuron)(S.add(x, S.linear({ features: 2, bias: false })(fedBack)))),
    S.linear({ features: 1, bias: false }),
  )
  const graph = S.Graph.makeUnsafe([2], network)
  const [loop, out] = graph.parameters.map(({ name }) => name) as [string, string]
  // Only the first neuron fires, at all three steps. Its recurrent spikes, at two steps, are too weak to make the second neuron fire.
  const { layers } = await counted(network, { [loop]: [0.5, 0.1, 0, 0], [out]: [1, 1] }, [2, 0])
  const synapses = layers.filter(({ denseOperations }) => denseOperations > 0)
  expect(synapses.map(({ effectiveACs, denseOperations }) => [effectiveACs, denseOperations])).toEqual([
    [2 * 2, 3 * 4],
    [3, 3 * 2],
  ])
})
