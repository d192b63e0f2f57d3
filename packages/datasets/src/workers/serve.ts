/** The worker program: opens the requested data set, then answers requests for samples. */
import { Deferred, Effect } from "effect"
import type { WorkerError } from "effect/workers/WorkerError"
import { WorkerRunnerPlatform } from "effect/workers/WorkerRunner"
import type { Dataset } from "../dataset.ts"
import { type DatasetError, WorkerFailed } from "../errors.ts"
import type { FileServices } from "../files/locate.ts"
import { open } from "../open.ts"
import { type Answer, type Request, sendError } from "./protocol.ts"

/** Converts a defect in a worker to a failed request, so that the training thread can report it. */
const withoutDefects = Effect.catchDefect((defect: unknown) =>
  Effect.fail(new WorkerFailed({ problem: String(defect).replaceAll(/\s*\n\s*/g, "; ") })),
)

/**
 * The complete program of a worker: serves `openInWorkers` until the worker is closed.
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
