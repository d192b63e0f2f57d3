/** What commands need of a run: its data, and a run that is over or was stopped. */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { Program } from "@spikeroute/core"
import {
  type AugmentationName,
  type Dataset,
  type DatasetError,
  datasets,
  type OptionError,
  openInWorkers,
  sampleOf,
} from "@spikeroute/datasets"
import { Effect, type FileSystem, type Path, type Scope, Struct } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { defaultBackend } from "./backends.ts"
import { type CheckpointName, load } from "./checkpoint.ts"
import { chosen, type PartialConfig, resolve, type Settings } from "./config.ts"
import { open as openDirectory } from "./run-directory.ts"
import { showBar } from "./terminal.ts"

const workerLayer = NodeWorker.layer(() => new Worker(new URL("./data-worker.ts", import.meta.url)))

/** Workers where a sample costs much, half as many as there are processors: training wants them all. */
const usualWorkers = (dataset: string): number =>
  datasets[dataset]?.costly ? Math.max(1, Math.floor(availableParallelism() / 2)) : 0

/** Opens the data set of a run until the scope ends. A download shows how far it is. */
export const openDataset = (
  config: Settings,
): Effect.Effect<Dataset, DatasetError, FileSystem.FileSystem | Path.Path | Scope.Scope> => {
  const { dataset, workers = usualWorkers(dataset), augment } = config
  const options = {
    ...Struct.pick(config, [
      "dataDir",
      "timeSteps",
      "seed",
      "size",
      "split",
      "sensor",
      "columns",
      "encoding",
      "duration",
    ]),
    augment: augment as ReadonlyArray<AugmentationName>,
    onProgress: ({ url, received, total }: { url: string; received: number; total: number | undefined }) =>
      showBar({
        label: url.replace(/.*\//, ""),
        done: received,
        total: total ?? received,
        detail: Program.formatBytes(received),
      }),
  }
  return openInWorkers(dataset, options, workers).pipe(Effect.provide([FetchHttpClient.layer, workerLayer]))
}

/** What a sample of the data set is: as its files say where they are at hand or nothing else does, else as the usual ones are. */
export const sampleFor = (config: Settings) => {
  const source = datasets[config.dataset] as (typeof datasets)[string]
  return config.dataDir === undefined && source.sample !== undefined
    ? Effect.try({ try: () => sampleOf(source, config.size), catch: (error) => error as OptionError })
    : Effect.scoped(openDataset({ ...config, workers: 0 }))
}

/** What a run is to be, by a config file and the command line. */
export const configured = (file: string | undefined, flags: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const given = yield* chosen(file, flags)
    return { ...resolve(given), backend: given.backend ?? (yield* defaultBackend) }
  })

/** Opens an earlier run at one of its checkpoints, with some settings changed. */
export const openRun = (directory: string, name: CheckpointName, changes: PartialConfig) =>
  Effect.gen(function* () {
    const run = yield* openDirectory(directory)
    const config = { ...run.config, ...changes }
    const checkpoint = yield* load(directory, name)
    return { config, graph: run.graph, dataset: yield* openDataset(config), checkpoint }
  })
