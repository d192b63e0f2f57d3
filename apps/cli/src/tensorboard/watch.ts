/**
 * Writes TensorBoard files to `tensorboard` in the run directory. For every batch: loss, learning rate, accuracy and firing rates. For
 * every epoch: training and test results, histograms of the weights and, for the first test samples, histograms of firing rates and
 * neuron states, and a spike raster as an image.
 */
import { Shape, Train } from "@spikeroute/core"
import { type Batch, batches, type Dataset } from "@spikeroute/datasets"
import { Effect, Path, Stream } from "effect"
import { png, raster, type Spike } from "../charts.ts"
import type { RunDirectory } from "../run-directory.ts"
import { openEventFile } from "./event-file.ts"
import type { Value } from "./messages.ts"

/** Maximum number of test samples observed after each epoch, and of neurons per layer in the raster. */
const [watchedSamples, shownNeurons] = [4, 128]

/** The scalars of a line of metrics.jsonl: its numbers and the firing rate of each layer. */
const scalarsOf = (line: Readonly<Record<string, unknown>>, neurons: ReadonlyArray<string>, prefix: string) => {
  const found: Array<Value> = []
  for (const [name, value] of Object.entries(line)) {
    const rates =
      name === "firingRates" ? Object.entries(Array.isArray(value) ? zipped(neurons, value) : (value as object)) : []
    for (const [layer, rate] of rates) found.push({ tag: `${prefix}firing rate/${layer}`, scalar: rate as number })
    if (typeof value === "number" && !["epoch", "update"].includes(name))
      found.push({ tag: `${prefix}${name}`, scalar: value })
  }
  return found
}

const zipped = (names: ReadonlyArray<string>, values: ReadonlyArray<unknown>) =>
  Object.fromEntries(names.map((name, i) => [name, values[i]]))

/** Draws the raster of the first sample; spikes are [T, N, …]. */
const rasterOf = (
  layers: ReadonlyArray<readonly [name: string, size: number, spikes: Float32Array]>,
  timeSteps: number,
  samples: number,
) => {
  const spikes: Array<Spike> = []
  const shown = layers.map(([name, size, values]) => {
    const step = Math.max(1, Math.ceil(size / shownNeurons))
    for (let t = 0; t < timeSteps; t++)
      for (let row = 0; row * step < size; row++)
        if (values[t * samples * size + row * step] === 1) spikes.push({ layer: name, row, timeStep: t + 1 })
    return { name, size, step }
  })
  return png(raster(spikes, shown, timeSteps))
}

/** The firing rate of each neuron, from spikes [T, N, size]. */
const ratesOf = (spikes: Float32Array, size: number) => {
  const rates = new Float64Array(size)
  for (let i = 0; i < spikes.length; i++) rates[i % size]! += ((spikes[i] as number) * size) / spikes.length
  return rates
}

/** Opens the TensorBoard writer of a run that has done `update` updates. The scope owns its memory and its file. */
export const watch = ({ path: directory, config, graph }: RunDirectory, dataset: Dataset, update: number) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const { timeSteps } = config
    const batchSize = Math.min(watchedSamples, dataset.test.size)
    const states = graph.nodes.flatMap(({ name, rule, attributes }) =>
      (rule.state?.(attributes)?.edges ?? []).map((edge) => `${name}.${edge}`),
    )
    const neurons = graph.nodes.flatMap(({ name }) => (graph.types.get(name)?.elements === "spikes" ? [name] : []))
    const predictor = yield* Train.makePredictor(graph, {
      ...{ batchSize, timeSteps, encoding: dataset.encoding },
      record: [...neurons, ...states],
    })
    const test = batches(dataset, "test", { batchSize, timeSteps, remainder: "pad" })
    const [batch] = yield* Stream.runCollect(Stream.take(test, 1))
    const { inputs } = batch as Batch
    const file = yield* openEventFile(path.join(directory, "tensorboard"), update + 1)

    const observed = (tensors: Train.Tensors) =>
      Effect.gen(function* () {
        yield* predictor.load(tensors)
        const { recorded = {} } = yield* predictor.predict(inputs)
        const spiking = predictor.program.neurons.map(
          (name) => [name, Shape.size(graph.types.get(name)?.shape ?? []), recorded[name] as Float32Array] as const,
        )
        return [
          ...spiking.map(([name, size, spikes]) => ({ tag: `firing rates/${name}`, histogram: ratesOf(spikes, size) })),
          ...states.map((name) => ({ tag: `states/${name}`, histogram: recorded[name] as Float32Array })),
          { tag: "raster", png: rasterOf(spiking, timeSteps, batchSize) },
        ] satisfies ReadonlyArray<Value>
      })
    const weightsOf = (tensors: Train.Tensors) =>
      Array.from(Train.parametersOf(tensors), ([name, { values }]) => ({ tag: `weights/${name}`, histogram: values }))

    return {
      /** Writes a batch line of metrics.jsonl. */
      batch: (line: Readonly<Record<string, unknown>>) =>
        file.add(line.update as number, scalarsOf(line, predictor.program.neurons, "batch/")),
      /** Writes an epoch line of metrics.jsonl, with the weights after the epoch. */
      epoch: (line: Readonly<Record<string, unknown>>, tensors: Train.Tensors) =>
        Effect.flatMap(observed(tensors), (seen) =>
          file.add(line.update as number, [
            ...scalarsOf(line.train as Readonly<Record<string, unknown>>, [], "train/"),
            ...scalarsOf(line.test as Readonly<Record<string, unknown>>, [], "test/"),
            ...weightsOf(tensors),
            ...seen,
          ]),
        ),
    }
  })

/** The TensorBoard writer of a run. */
export type Watch = Effect.Success<ReturnType<typeof watch>>
