/** `data`: throughput of sample creation, with and without workers, and how long a training thread waits for batches. */
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
  /** Milliseconds that the simulated training thread is busy per batch, in the second column. */
  readonly busy: number
}

/** Mean milliseconds that a reader waits per batch, without the first, which cannot be prefetched. */
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
        // A training step blocks the thread.
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
        table(["workers", "samples/s", `wait per batch, thread busy for ${busy} ms`], rows),
      ].join("\n"),
    )
  })
