/** Evaluation of a network on the test samples of a data set. */
import { type Program, Train } from "@spikeroute/core"
import { type Batch, batchCount, batches, type Dataset } from "@spikeroute/datasets"
import { Communicator } from "@spikeroute/distributed"
import { Effect, Stream } from "effect"
import type { RunConfig } from "./config.ts"
import { percent } from "./terminal.ts"

/** Formats a result: the accuracy, or the mean squared error for numeric targets. */
export const inWords = (top1: number | null, meanSquaredError: number | null | undefined): string =>
  top1 !== null ? `accuracy ${percent(top1)}` : `mean squared error ${meanSquaredError?.toPrecision(4)}`

export interface Evaluation {
  readonly samples: number
  /** Top-1 and top-5 accuracy over the samples, or over the steps if each has a class; null for numeric targets. */
  readonly top1: number | null
  readonly top5: number | null
  /** Mean of (output − target)² for numeric targets; null for classes. */
  readonly meanSquaredError: number | null
  /** Spikes per neuron and time step, for each layer of neurons. */
  readonly firingRates: Readonly<Record<string, number>>
}

/** Warns about layers that are silent or saturated. */
export const warnOfRates = (rates: Readonly<Record<string, number>>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const [name, rate] of Object.entries(rates))
      if (rate < 0.001) yield* Effect.logWarning(`layer ${name} is silent: its firing rate is ${percent(rate)}`)
      else if (rate > 0.95) yield* Effect.logWarning(`layer ${name} is saturated: its firing rate is ${percent(rate)}`)
  })

/** Sums over batches: correct answers or squared errors, and the number of outputs that they cover. */
interface Sums {
  top1: number
  top5: number
  squares: number
  count: number
}

/** Adds the squared errors of the first `size` outputs, each multiplied by `scale`. */
const addSquares = (sums: Sums, outputs: Float32Array, targets: Float32Array, size: number, scale: number) => {
  for (let i = 0; i < size; i++) sums.squares += ((outputs[i] as number) * scale - (targets[i] as number)) ** 2
  sums.count += size
}

/** Adds the results of the first `size` samples of a batch. */
const score = (
  sums: Sums,
  { targets: kind = "class", classes }: Dataset,
  outputs: Float32Array,
  { labels, targets = new Float32Array(), size }: Pick<Batch, "labels" | "targets" | "size">,
  { batchSize, timeSteps }: Program.Program,
) => {
  const steps = kind.endsWith("PerStep") ? timeSteps : 1
  for (let t = 0; t < steps; t++) {
    const own = outputs.subarray(t * batchSize * classes, (t + 1) * batchSize * classes)
    if (!kind.startsWith("class")) {
      // With one target per sample, outputs are summed over time, whereas the loss uses their mean.
      const told = targets.subarray(t * batchSize * classes)
      addSquares(sums, own, told, size * classes, kind === "numbers" ? 1 / timeSteps : 1)
      continue
    }
    const told = labels.subarray(t * batchSize, (t + 1) * batchSize)
    sums.top1 += Train.hits(own, told, 1, size)
    sums.top5 += Train.hits(own, told, 5, size)
    for (let n = 0; n < size; n++) if ((told[n] as number) >= 0) sums.count++
  }
}

/** Evaluates all test samples, or the first `limit`. Several processes share the batches. */
export const evaluate = (
  predictor: Train.Predictor,
  dataset: Dataset,
  { timeSteps, limit }: Pick<RunConfig, "timeSteps" | "limit">,
) =>
  Effect.gen(function* () {
    const { rank, size: processes, gather } = yield* Communicator
    const { batchSize, neurons } = predictor.program
    /** One row per batch: its index, number of samples, the four sums, firing rates. */
    const rows: Array<number> = []
    const options = { batchSize, timeSteps, limit, remainder: "pad", from: rank, every: processes } as const
    yield* Stream.runForEach(batches(dataset, "test", options), (batch) =>
      Effect.gen(function* () {
        const { outputs, firingRates } = yield* predictor.predict(batch.inputs)
        const sums: Sums = { top1: 0, top5: 0, squares: 0, count: 0 }
        score(sums, dataset, outputs, batch, predictor.program)
        rows.push(batch.index, batch.size, sums.top1, sums.top5, sums.squares, sums.count, ...firingRates)
        yield* Effect.yieldNow
      }),
    )
    const all = (yield* gather(new Uint8Array(Float64Array.from(rows).buffer))).flatMap((bytes) =>
      rowsOf(new Float64Array(bytes.slice().buffer), 6 + neurons.length),
    )
    // In batch order, so that sums do not depend on the number of processes.
    const ordered = all.toSorted(([a = 0], [b = 0]) => a - b)
    const sum = (column: number) => ordered.reduce((total, row) => total + (row[column] as number), 0)
    const samples = sum(1)
    const count = batchCount(samples, batchSize, "pad")
    const areClasses = (dataset.targets ?? "class").startsWith("class")
    return {
      samples,
      top1: areClasses ? sum(2) / Math.max(1, sum(5)) : null,
      top5: areClasses ? sum(3) / Math.max(1, sum(5)) : null,
      meanSquaredError: areClasses ? null : sum(4) / sum(5),
      firingRates: Object.fromEntries(neurons.map((name, i) => [name, sum(6 + i) / count])),
    } satisfies Evaluation
  })

const rowsOf = (values: Float64Array, width: number): ReadonlyArray<Float64Array> =>
  Array.from({ length: values.length / width }, (_, i) => values.subarray(i * width, (i + 1) * width))
