/** The worker of workers.test.ts. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { serve } from "../src/index.ts"

const platform = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer, NodeWorkerRunner.layer)
Effect.runPromise(serve.pipe(Effect.provide(platform)))
