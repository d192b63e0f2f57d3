/** Accuracy and latency of early exit: runs a network as a program file, one sample at a time, with several margins. */
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { load } from "@spikeroute/backend-wasm/infer"
import type { Graph, Train } from "@spikeroute/core"
import { batches, type Dataset } from "@spikeroute/datasets"
import { Clock, Effect, Stream } from "effect"
import type { RunConfig } from "./config.ts"

export interface Anytime {
  /** Lead of the first class over the second at which a sample stops; null: no early exit. */
  readonly margin: number | null
  readonly top1: number
  readonly meanSteps: number
  readonly millisecondsPerSample: number
}

const kernels = Effect.promise(async () => {
  const path = fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))
  return WebAssembly.compile(await readFile(path))
})

/** Runs all test samples, or the first `limit`, with each margin and without early exit. */
export const anytime = (
  graph: Graph.Graph,
  tensors: Train.Tensors,
  dataset: Dataset,
  { timeSteps, limit }: Pick<RunConfig, "timeSteps" | "limit">,
  margins: ReadonlyArray<number>,
) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const { encoding } = dataset
    const model = load(yield* kernels, yield* ProgramFile.save(graph, tensors, { batchSize: 1, timeSteps, encoding }))
    const found = [undefined, ...margins].map((margin) => ({ margin, samples: 0, hits: 0, steps: 0, nanoseconds: 0n }))
    const samples = batches(dataset, "test", { batchSize: 1, timeSteps, limit, remainder: "pad" })
    yield* Stream.runForEach(samples, ({ inputs, labels }) =>
      Effect.sync(() => {
        for (const each of found) {
          const before = clock.currentTimeNanosUnsafe()
          const { classes, meanSteps } = model.predict(inputs, each.margin === undefined ? {} : { margin: each.margin })
          each.nanoseconds += clock.currentTimeNanosUnsafe() - before
          each.samples++
          each.steps += meanSteps
          if (classes[0] === labels[0]) each.hits++
        }
      }),
    )
    return found.map(
      ({ margin = null, samples, hits, steps, nanoseconds }): Anytime => ({
        margin,
        top1: hits / samples,
        meanSteps: steps / samples,
        millisecondsPerSample: Number(nanoseconds) / 1e6 / samples,
      }),
    )
  })
