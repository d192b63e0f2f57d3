/** How good a network is on the test samples of a data set. */
import { Train } from "@spikeroute/core"
import { batchCount, batches, type Dataset } from "@spikeroute/datasets"
import { Effect, Stream } from "effect"
import type { RunConfig } from "./config.ts"
import { percent } from "./terminal.ts"

export interface Evaluation {
  readonly samples: number
  /** Shares of the samples whose class is the network's first answer, and among its first five. */
  readonly top1: number
  readonly top5: number
  /** Spikes per neuron and time step, by layer of neurons. */
  readonly firingRates: Readonly<Record<string, number>>
}

/** Warns of layers that hardly ever fire, or almost always. */
export const warnOfRates = (rates: Readonly<Record<string, number>>): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const [name, rate] of Object.entries(rates))
      if (rate < 0.001) yield* Effect.logWarning(`layer ${name} is silent: it fires at ${percent(rate)}`)
      else if (rate > 0.95) yield* Effect.logWarning(`layer ${name} is saturated: it fires at ${percent(rate)}`)
  })

/** Runs all test samples through the network, or the first `limit` of them. */
export const evaluate = (
  predictor: Train.Predictor,
  dataset: Dataset,
  { timeSteps, limit }: Pick<RunConfig, "timeSteps" | "limit">,
) =>
  Effect.gen(function* () {
    const { batchSize, neurons } = predictor.program
    let samples = 0
    let top1 = 0
    let top5 = 0
    const rates = neurons.map(() => 0)
    const test = batches(dataset, "test", { batchSize, timeSteps, limit, remainder: "pad" })
    yield* Stream.runForEach(test, ({ inputs, labels, size }) =>
      Effect.gen(function* () {
        const { outputs, firingRates } = yield* predictor.predict(inputs)
        samples += size
        top1 += Train.hits(outputs, labels, 1, size)
        top5 += Train.hits(outputs, labels, 5, size)
        firingRates.forEach((rate, i) => {
          rates[i]! += rate
        })
        yield* Effect.yieldNow
      }),
    )
    const count = batchCount(samples, batchSize, "pad")
    return {
      samples,
      top1: top1 / samples,
      top5: top5 / samples,
      firingRates: Object.fromEntries(neurons.map((name, i) => [name, rates[i]! / count])),
    } satisfies Evaluation
  })
