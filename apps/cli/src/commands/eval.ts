/** `eval`: evaluates the network of a run on the test samples. */
import { Backend, type Graph, Train } from "@spikeroute/core"
import { type Batch, batches, type Dataset } from "@spikeroute/datasets"
import { Communicator } from "@spikeroute/distributed"
import { Effect, Stream } from "effect"
import { anytime } from "../anytime.ts"
import { backendLayer } from "../backends.ts"
import { restore } from "../checkpoint.ts"
import { fromFlags, inferenceOptions, type RunConfig } from "../config.ts"
import { UsageError } from "../errors.ts"
import { evaluate, inWords } from "../evaluation.ts"
import { checkFlags } from "../flags.ts"
import { countOperations, observed, operationsTable } from "../operations.ts"
import { processes, threadsOf } from "../processes.ts"
import { openRun } from "../run.ts"
import { bold, percent, print, table } from "../terminal.ts"

export interface EvalFlags {
  readonly directory: string
  readonly checkpoint: string
  /** Comma-separated margins for early exit. */
  readonly margins: string | undefined
  /** Whether the processes that mpirun started share the test samples. */
  readonly distributed: boolean
  readonly json: boolean
  readonly settings: Readonly<Record<string, unknown>>
}

/** Parses a list of numbers; other elements stay text for the error message. */
const numbersOf = (text: string) =>
  text.split(",").map((each) => (each.trim() === "" || Number.isNaN(Number(each)) ? each : Number(each)))

/** Maximum number of samples on which operations are counted. */
const countedSamples = 16

type Tensors = Parameters<typeof restore>[0]

/** Counts the operations of the first test samples. */
const operationsOf = (graph: Graph.Graph, checkpoint: Tensors, dataset: Dataset, { timeSteps, limit }: RunConfig) =>
  Effect.gen(function* () {
    const batchSize = Math.min(countedSamples, limit ?? countedSamples, dataset.test.size)
    const options = { batchSize, timeSteps, encoding: dataset.encoding, observe: observed(graph) }
    const predictor = yield* Train.makePredictor(graph, options)
    yield* restore(checkpoint, predictor)
    const test = batches(dataset, "test", { batchSize, timeSteps, remainder: "pad" })
    const [batch] = yield* Stream.runCollect(Stream.take(test, 1))
    const { inputs, size } = batch as Batch
    const operations = yield* countOperations(predictor, graph, checkpoint.tensors, inputs, size)
    return { operations, samples: size }
  }).pipe(Effect.scoped)

export const evaluateRun = ({ directory, distributed, json, settings, ...given }: EvalFlags) =>
  Effect.gen(function* () {
    const { checkpoint: name, margins: wanted = [] } = yield* checkFlags("eval", {
      checkpoint: given.checkpoint,
      margins: given.margins === undefined ? undefined : numbersOf(given.margins),
    })
    const { config, graph, dataset, checkpoint } = yield* openRun(directory, name, yield* fromFlags(settings))
    if (wanted.length > 0 && (dataset.targets ?? "class") !== "class")
      return yield* new UsageError({ reason: "--margins is for samples of one class each" })
    const threads = threadsOf(yield* Communicator)
    yield* Effect.gen(function* () {
      const predictor = yield* Train.makePredictor(graph, inferenceOptions(config, dataset))
      yield* restore(checkpoint, predictor)
      const { samples, top1, top5, meanSquaredError, firingRates } = yield* evaluate(predictor, dataset, config)
      const early = wanted.length > 0 ? yield* anytime(graph, checkpoint.tensors, dataset, config, wanted) : undefined
      const { operations, samples: counted } = yield* operationsOf(graph, checkpoint, dataset, config)
      const result = {
        testAccuracy: top1,
        testTop5: top5,
        ...(meanSquaredError !== null && { testError: meanSquaredError }),
        samples,
        firingRates,
        operations,
        epoch: checkpoint.position?.epoch ?? null,
        backend: (yield* Backend).name,
        ...(early && { anytime: early }),
      }
      if (json) return yield* print(JSON.stringify(result, undefined, 2))
      yield* print(
        [
          `${bold(`test ${inWords(top1, meanSquaredError)}`)}${top5 === null ? "" : `  top-5 ${percent(top5)}`}  ${samples} samples${result.epoch === null ? "" : `, after epoch ${result.epoch}`}`,
          table(
            ["layer", "firing rate"],
            Object.entries(firingRates).map(([layer, rate]) => [layer, percent(rate)]),
          ),
          operationsTable(operations, counted),
          ...(early
            ? [
                table(
                  ["margin", "test accuracy", "mean steps", "ms a sample"],
                  early.map(({ margin, top1, meanSteps, millisecondsPerSample }) => [
                    margin === null ? "none" : String(margin),
                    percent(top1),
                    meanSteps.toFixed(2),
                    millisecondsPerSample.toFixed(2),
                  ]),
                ),
              ]
            : []),
        ].join("\n"),
      )
    }).pipe(Effect.scoped, Effect.provide(backendLayer(config.backend, threads)))
  }).pipe(Effect.scoped, Effect.provide(processes(distributed)))
