/** A run that is over, or was stopped: its settings, network and data, and a checkpoint. */
import { open } from "@spikeroute/datasets"
import { Effect } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { PartialConfig } from "./config.ts"
import { type CheckpointName, load, open as openDirectory } from "./run-directory.ts"

export const openRun = (directory: string, name: CheckpointName, changes: PartialConfig) =>
  Effect.gen(function* () {
    const run = yield* openDirectory(directory)
    const config = { ...run.config, ...changes }
    const checkpoint = yield* load(directory, name)
    const dataset = yield* open(config.dataset, config)
    return { config, graph: run.graph, dataset, checkpoint }
  }).pipe(Effect.provide(FetchHttpClient.layer))
