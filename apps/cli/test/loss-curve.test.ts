/**
 * ResNet-18 at width 1/4 over 100 iterations, starting from PyTorch's weights and trained on its batches.
 *
 * A single spike that changes by rounding alters everything after it. PyTorch's own curves therefore diverge as well: with float64 instead
 * of float32, and with every weight perturbed by half a unit in the last place before each update (see golden.py). Each iteration computes
 * two million membrane potentials; in about one iteration in ten, one of them is that close to the threshold. The first losses must
 * therefore be equal up to rounding, which verifies the gradients and the optimiser. After that, means over ten iterations may leave the
 * band of PyTorch's runs by at most half of its maximum width.
 */
import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { Graph, Key, Models, Optimizer, Policy, PyTorch, Train } from "@spikeroute/core"
import { Drawn } from "@spikeroute/core/testing"
import { Effect } from "effect"
import { backendLayer, defaultBackend } from "../src/backends.ts"

const file = new URL("../../../packages/core/test/golden/loss-curve.json", import.meta.url)
const runs = Object.values(JSON.parse(readFileSync(file, "utf8")) as Record<string, ReadonlyArray<number>>)

/** The settings of golden.py. */
const [seed, timeSteps, batchSize, classes, learningRate] = [4, 2, 8, 4, 0.1]

const losses = (backend: string): Promise<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const graph = yield* Graph.make([32, 32, 3], Models.resnet18(classes, { width: 0.25, neuron: { tau: 2 } }))
    const trainer = yield* Train.make(graph, Policy.sltt, {
      batchSize,
      timeSteps,
      loss: { mix: 0.05, target: "ones" },
      optimizer: Optimizer.sgd({ momentum: 0.9, weightDecay: 0 }),
      key: Key.make(0),
    })
    yield* trainer.loadParameters(
      new Map(
        graph.parameters.map((parameter) => [
          parameter.name,
          { shape: parameter.shape, values: Drawn.parameter(seed, graph, parameter) },
        ]),
      ),
    )
    const curve: Array<number> = []
    for (let update = 1; update <= 100; update++) {
      const options = { seed, update, batchSize, classes, shape: [3, 32, 32] }
      const inputs = PyTorch.imagesFromPyTorch(Drawn.images(options), [32, 32, 3])
      const { loss } = yield* trainer.step({ inputs, labels: Drawn.labels(options) }, { update, learningRate })
      curve.push(loss)
    }
    return curve
  }).pipe(Effect.scoped, Effect.provide(backendLayer(backend)), Effect.runPromise)

const mean = (curve: ReadonlyArray<number>, from: number, length: number): number =>
  curve.slice(from, from + length).reduce((sum, loss) => sum + loss, 0) / length

test("the loss curve matches PyTorch's", async () => {
  const ours = await losses(await Effect.runPromise(defaultBackend))
  const spread = (i: number, length: number) => {
    const means = runs.map((run) => mean(run, i, length))
    return { least: Math.min(...means), most: Math.max(...means) }
  }

  for (let i = 0; i < 6; i++) expect(Math.abs(ours[i]! - runs[0]![i]!)).toBeLessThan(1e-5)

  const windows = Array.from({ length: 10 }, (_, i) => ({ ours: mean(ours, 10 * i, 10), ...spread(10 * i, 10) }))
  const widest = Math.max(...windows.map(({ least, most }) => most - least))
  for (const { ours, least, most } of windows) {
    expect(ours).toBeGreaterThan(least - widest / 2)
    expect(ours).toBeLessThan(most + widest / 2)
  }
  expect(mean(ours, 90, 10)).toBeLessThan(0.3 * mean(ours, 0, 10))
}, 60_000)
