/** `data`: how fast samples are made, with workers and without, and how long a training thread waits for them. */
import { resolve } from "@spikeroute/cli/config"
import { openDataset } from "@spikeroute/cli/run"
import { print, table } from "@spikeroute/cli/terminal"
import { Key } from "@spikeroute/core"
import { batches } from "@spikeroute/datasets"
import { Effect, Stream } from "effect"

export interface DataOptions {
  readonly dataset: string
  readonly dataDir: string | undefined
  readonly workers: ReadonlyArray<number>
  readonly batchSize: number
  readonly batches: number
  /** Milliseconds for which the training thread is busy with each batch, in the second column. */
  readonly busy: number
}

/** Milliseconds that the reader of an epoch waits for its batches; the first, for which nothing was made ahead, not counted. */
const read = (options: DataOptions, workers: number, busy: number) =>
  Effect.gen(function* () {
    const { batchSize } = options
    const config = { ...resolve({ dataset: options.dataset }), backend: "native", batchSize, workers }
    const dataset = yield* openDataset(options.dataDir === undefined ? config : { ...config, dataDir: options.dataDir })
    const { timeSteps } = config
    const epoch = batches(dataset, "train", { batchSize, timeSteps, key: Key.make(0), remainder: "drop" })
    let asked = 0
    let waited = 0
    let count = 0
    yield* Stream.runForEach(Stream.take(epoch, options.batches + 1), () =>
      Effect.sync(() => {
        const now = performance.now()
        if (count++ > 0) waited += now - asked
        // A step of training leaves the thread to nobody.
        while (performance.now() - now < busy);
        asked = performance.now()
      }).pipe(Effect.andThen(Effect.yieldNow)),
    )
    return waited / (count - 1)
  }).pipe(Effect.scoped)

export const data = (options: DataOptions) =>
  Effect.gen(function* () {
    const { batchSize, busy } = options
    const rows: Array<ReadonlyArray<string>> = []
    for (const workers of options.workers) {
      const alone = yield* read(options, workers, 0)
      const wait = yield* read(options, workers, busy)
      rows.push([
        workers === 0 ? "none" : String(workers),
        ((batchSize / alone) * 1000).toFixed(0),
        `${wait.toFixed(1)} ms`,
      ])
    }
    yield* print(
      [
        `${options.dataset}, batches of ${batchSize} training samples, augmented`,
        table(["workers", "samples/s", `wait a batch, thread busy for ${busy} ms`], rows),
      ].join("\n"),
    )
  })
