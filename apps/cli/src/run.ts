/** What commands need of a run: its data, and a run that is over or was stopped. */
import { Program } from "@spikeroute/core"
import { type Dataset, type DatasetError, open } from "@spikeroute/datasets"
import { Effect, type FileSystem, type Path } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { PartialConfig, RunConfig } from "./config.ts"
import { type CheckpointName, load, open as openDirectory } from "./run-directory.ts"
import { showBar } from "./terminal.ts"

/** Opens the data set of a run. A download shows how far it is. */
export const openDataset = (
  config: RunConfig,
): Effect.Effect<Dataset, DatasetError, FileSystem.FileSystem | Path.Path> =>
  open(config.dataset, {
    ...config,
    onProgress: ({ url, received, total }) =>
      showBar({
        label: url.replace(/.*\//, ""),
        done: received,
        total: total ?? received,
        detail: Program.formatBytes(received),
      }),
  }).pipe(Effect.provide(FetchHttpClient.layer))

/** Opens an earlier run at one of its checkpoints, with some settings changed. */
export const openRun = (directory: string, name: CheckpointName, changes: PartialConfig) =>
  Effect.gen(function* () {
    const run = yield* openDirectory(directory)
    const config = { ...run.config, ...changes }
    const checkpoint = yield* load(directory, name)
    return { config, graph: run.graph, dataset: yield* openDataset(config), checkpoint }
  })
