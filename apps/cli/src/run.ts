/** Opens the data set, the settings and the checkpoints of runs. */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import * as NodeWorker from "@effect/platform-node/NodeWorker"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { Program } from "@spikeroute/core"
import {
  type AugmentationName,
  type Dataset,
  type DatasetError,
  datasets,
  type OptionError,
  openInWorkers,
  type Sample,
  sampleOf,
} from "@spikeroute/datasets"
import { Effect, FileSystem, type Path, type Scope, Struct } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { defaultBackend } from "./backends.ts"
import { type CheckpointName, load } from "./checkpoint.ts"
import { chosen, noDataset, type PartialConfig, type RunConfig, resolve, type Settings } from "./config.ts"
import { UsageError } from "./errors.ts"
import { readBytes } from "./files.ts"
import { isPath } from "./modules.ts"
import { checkPurpose } from "./network.ts"
import { openOwn } from "./own-dataset.ts"
import { open as openDirectory } from "./run-directory.ts"
import { showBar } from "./terminal.ts"

const workerLayer = NodeWorker.layer(() => new Worker(new URL("./data-worker.ts", import.meta.url)))

/** The default number of workers: half the processors (training needs all of them) if samples are expensive to prepare, otherwise none. */
const usualWorkers = (dataset: string): number =>
  datasets[dataset]?.costly ? Math.max(1, Math.floor(availableParallelism() / 2)) : 0

/** Opens the data set of a run until the scope ends. Downloads show their progress. */
export const openDataset = (
  config: Settings,
): Effect.Effect<Dataset, DatasetError | UsageError, FileSystem.FileSystem | Path.Path | Scope.Scope> => {
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
  if (dataset === noDataset)
    return Effect.fail(new UsageError({ reason: "no data set is known for this network: give one as --dataset" }))
  if (isPath(dataset)) return openOwn(dataset, options)
  return openInWorkers(dataset, options, workers).pipe(Effect.provide([FetchHttpClient.layer, workerLayer]))
}

/**
 * The sample format of the data set. It is read from the files if `dataDir` is given or the data set has no standard format; otherwise it
 * is the standard one.
 */
export const sampleFor = (
  config: Settings,
): Effect.Effect<Sample, DatasetError | UsageError, FileSystem.FileSystem | Path.Path> => {
  const source = datasets[config.dataset]
  return source?.sample !== undefined && config.dataDir === undefined
    ? Effect.try({ try: () => sampleOf(source, config.size), catch: (error) => error as OptionError })
    : Effect.scoped(openDataset({ ...config, workers: 0 }))
}

/** The settings of a new run, from a config file and the command line. */
export const configured = (file: string | undefined, flags: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const given = yield* chosen(file, flags)
    return { ...resolve(given), backend: given.backend ?? (yield* defaultBackend) }
  })

/** The settings of a run, with changes. For another data set, settings specific to the run's data set are dropped. */
const withDataset = (config: RunConfig, { dataset, ...changes }: PartialConfig): RunConfig => {
  if (dataset === undefined || dataset === config.dataset) return { ...config, ...changes }
  const { dataDir: _, size: __, ...rest } = config
  return { ...rest, dataset, augment: [], ...changes }
}

/** Opens a program file as a run without a data set or a training position. */
const openProgram = (file: string, changes: PartialConfig) =>
  Effect.gen(function* () {
    const { graph, tensors, timeSteps } = yield* ProgramFile.read(yield* readBytes(file), file)
    const given = resolve({ dataset: noDataset, timeSteps, ...changes })
    return {
      run: { config: { ...given, backend: changes.backend ?? (yield* defaultBackend) }, graph },
      checkpoint: { file, tensors, position: undefined },
    }
  })

const openCheckpoint = (directory: string, name: CheckpointName) =>
  Effect.gen(function* () {
    const run = yield* openDirectory(directory)
    return { run, checkpoint: yield* load(directory, name) }
  })

/** Opens a checkpoint of a run, or a program file, with some settings changed. */
export const openRun = (place: string, name: CheckpointName, changes: PartialConfig) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const isFile = yield* Effect.match(fs.stat(place), {
      onSuccess: ({ type }) => type === "File",
      onFailure: () => false,
    })
    const { run, checkpoint } = yield* isFile ? openProgram(place, changes) : openCheckpoint(place, name)
    const config = withDataset(run.config, changes)
    const dataset = yield* openDataset(config)
    yield* checkPurpose(place, run.graph, dataset, config.dataset)
    return { config, graph: run.graph, dataset, checkpoint }
  })
