/** What a worker does: opens the data set that it is told, then writes the samples that it is asked for. */
import { Deferred, Effect } from "effect"
import type { WorkerError } from "effect/workers/WorkerError"
import { WorkerRunnerPlatform } from "effect/workers/WorkerRunner"
import type { Dataset } from "../dataset.ts"
import { type DatasetError, WorkerFailed } from "../errors.ts"
import type { FileServices } from "../files/locate.ts"
import { open } from "../open.ts"
import { type Answer, type Request, sendError } from "./protocol.ts"

/** A bug in a worker fails what it was asked for, so that the training side can say so and end. */
const withoutDefects = Effect.catchDefect((defect: unknown) =>
  Effect.fail(new WorkerFailed({ problem: String(defect).replaceAll(/\s*\n\s*/g, "; ") })),
)

/**
 * Serves `openInWorkers` until it closes the worker: the whole program of a worker.
 *
 * @example
 * const platform = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer, NodeWorkerRunner.layer)
 * Effect.runPromise(serve.pipe(Effect.provide(platform)))
 */
export const serve: Effect.Effect<void, WorkerError, FileServices | WorkerRunnerPlatform> = Effect.gen(function* () {
  const platform = yield* WorkerRunnerPlatform
  const runner = yield* platform.start<Answer, Request>()
  const opened = yield* Deferred.make<Dataset, DatasetError>()
  yield* runner.run((port, request) => {
    if (request.type === "open")
      return Deferred.complete(opened, withoutDefects(open(request.dataset, request.options)))
    const { id, split, samples, keys, length } = request
    const values = new Float32Array(length)
    return Deferred.await(opened).pipe(
      Effect.flatMap((dataset) => withoutDefects(dataset[split].write(samples, keys, values))),
      Effect.matchEffect({
        onSuccess: () => runner.send(port, { id, values }, [values.buffer]),
        onFailure: (error) => runner.send(port, { id, error: sendError(error) }),
      }),
    )
  })
})
