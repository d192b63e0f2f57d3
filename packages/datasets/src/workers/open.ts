/**
 * Workers: threads that read, decode and augment samples while the main thread trains.
 *
 * Each worker receives its whole part of a batch in one message, because the training thread cannot dispatch more during a
 * training step. A sample depends only on the data set and its own key, so the bytes are identical with any number of workers,
 * including none. `batches` determines how many batches are prefetched.
 */
import { check, whole } from "@spikeroute/core/options"
import { Deferred, Effect, Fiber, Schema, type Scope } from "effect"
import { type Spawner, WorkerPlatform } from "effect/workers/Worker"
import type { WorkerError } from "effect/workers/WorkerError"
import { batchProblem } from "../checks.ts"
import type { Dataset, Split } from "../dataset.ts"
import { type DatasetError, WorkerFailed } from "../errors.ts"
import type { FileServices } from "../files/locate.ts"
import { open } from "../open.ts"
import type { OpenOptions } from "../sets/options.ts"
import { type Answer, type Request, receiveError, type SentOptions, type WriteMessage } from "./protocol.ts"

const failed = (problem: string) => new WorkerFailed({ problem: problem.replaceAll(/\s*\n\s*/g, "; ") })
const reasonOf = ({ reason }: WorkerError) =>
  reason.cause instanceof Error ? `${reason.message} ${reason.cause.message}` : reason.message

/** A worker that has opened its data set. */
interface Ready {
  readonly write: (message: Omit<WriteMessage, "type" | "id">) => Effect.Effect<Float32Array, DatasetError>
}

/** Starts a worker, which terminates with the scope. */
const start = Effect.fnUntraced(function* (id: number, dataset: string, options: SentOptions) {
  const platform = yield* WorkerPlatform
  const worker = yield* Effect.mapError(platform.spawn<Answer, Request>(id), (error) => failed(reasonOf(error)))
  const ready = yield* Deferred.make<void>()
  const waiting = new Map<number, Deferred.Deferred<Float32Array, DatasetError>>()
  const receive = (answer: Answer) => {
    // An interrupted request has no waiter.
    const asked = waiting.get(answer.id)
    if (asked === undefined) return Effect.void
    return "values" in answer
      ? Deferred.succeed(asked, answer.values)
      : Deferred.fail(asked, receiveError(answer.error))
  }
  const running = yield* Effect.forkScoped(
    worker.run<unknown, never, never>(receive, { onSpawn: Effect.asVoid(Deferred.succeed(ready, undefined)) }),
  )
  const ended: Effect.Effect<never, WorkerFailed> = Fiber.join(running).pipe(
    Effect.mapError((error) => failed(reasonOf(error))),
    // Spawners may throw.
    Effect.catchDefect((defect) => Effect.fail(failed(String(defect)))),
  )
  yield* Effect.raceFirst(Deferred.await(ready), ended)
  const send = (request: Request) => Effect.mapError(worker.send(request), (error) => failed(reasonOf(error)))
  yield* send({ type: "open", dataset, options })

  let next = 0
  return {
    write: (message) =>
      Effect.suspend(() => {
        const id = next++
        const asked = Deferred.makeUnsafe<Float32Array, DatasetError>()
        waiting.set(id, asked)
        return send({ type: "write", id, ...message }).pipe(
          Effect.andThen(Effect.raceFirst(Deferred.await(asked), ended)),
          Effect.ensuring(Effect.sync(() => waiting.delete(id))),
        )
      }),
  } satisfies Ready
})

/** A split whose batches are divided among all workers. */
const inWorkers = (
  { shape, encoding }: Dataset,
  part: "train" | "test",
  { write: _, ...split }: Split,
  timeSteps: number,
  workers: ReadonlyArray<Ready>,
): Split => {
  const sampleSize = shape.reduce((product, side) => product * side, 1)
  const steps = encoding === "frames" ? timeSteps : 1
  return {
    ...split,
    write: (samples, keys, out) => {
      const count = samples.length
      const problem = batchProblem(split.size, samples, keys, out, sampleSize, steps)
      if (problem !== undefined) return Effect.fail(problem)
      const share = Math.ceil(count / workers.length)
      const writePart = (worker: Ready, index: number) => {
        const start = index * share
        const own = Array.from(samples).slice(start, start + share)
        if (own.length === 0) return Effect.void
        const stride = own.length * sampleSize
        const message = { split: part, samples: own, keys: keys?.slice(start, start + share), length: steps * stride }
        return Effect.map(worker.write(message), (values) => {
          for (let step = 0; step < steps; step++)
            out.set(values.subarray(step * stride, (step + 1) * stride), (step * count + start) * sampleSize)
        })
      }
      return Effect.forEach(workers, writePart, { concurrency: "unbounded", discard: true })
    },
  }
}

/** Schema of the number of workers. Each opens the data set itself and takes about 50 MB. */
export const WorkersSchema: Schema.Struct<{ readonly workers: Schema.Int }> = Schema.Struct({ workers: whole(0, 64) })

/**
 * Opens a data set like `open`, but makes its samples in 0 to 64 workers, which terminate with the scope. If workers cannot
 * be started, it logs a warning and makes the samples, with identical bytes, in the calling thread.
 *
 * Reading a sample can also fail with `WorkerFailed`. The application supplies the worker program, which runs `serve`, and the
 * `Spawner` that starts it.
 *
 * @example
 * const dataset = yield* openInWorkers("image-folder", { timeSteps: 6, dataDir: "imagenet" }, 2)
 */
export const openInWorkers: (
  name: string,
  options: Omit<OpenOptions, "eventTransform">,
  workers: number,
) => Effect.Effect<Dataset, DatasetError, FileServices | WorkerPlatform | Spawner | Scope.Scope> = Effect.fnUntraced(
  function* (name: string, options: Omit<OpenOptions, "eventTransform">, workers: number) {
    yield* check("openInWorkers", WorkersSchema, { workers })
    const dataset = yield* open(name, options)
    if (workers === 0) return dataset
    // Functions cannot be sent to a worker, and all files have been downloaded at this point.
    const { onProgress: _, ...sent } = options
    const started = yield* Effect.forEach(
      Array.from({ length: workers }, (_, id) => id),
      (id) => start(id, name, sent),
      {
        concurrency: "unbounded",
      },
    ).pipe(
      Effect.catchTag("WorkerFailed", ({ problem }) =>
        Effect.as(
          Effect.logWarning(`workers are not available (${problem}): the training thread reads the samples`),
          undefined,
        ),
      ),
    )
    if (started === undefined) return dataset
    const split = (part: "train" | "test") => inWorkers(dataset, part, dataset[part], options.timeSteps, started)
    return { ...dataset, train: split("train"), test: split("test") }
  },
)
