/** Entry point of a worker that prepares samples: see `openInWorkers`. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import { serve } from "@spikeroute/datasets"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"

const platform = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer, NodeWorkerRunner.layer)

Effect.runPromise(serve.pipe(Effect.provide(platform)))
