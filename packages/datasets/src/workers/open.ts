/**
 * Samples made by workers: threads that read, decode and augment while the training thread trains.
 *
 * A batch is cut into pieces, which idle workers take one after the other. What a sample is depends on the data set
 * and the sample's own key alone: the bytes are the same for any number of workers, and without any. How far workers
 * run ahead is decided where it always is, by the batches that `batches` makes ahead.
 */
import { Deferred, Effect, Fiber, Queue, type Scope } from "effect"
import { type Spawner, WorkerPlatform } from "effect/workers/Worker"
import type { WorkerError } from "effect/workers/WorkerError"
import type { Dataset, Split } from "../dataset.ts"
import { type DatasetError, WorkerFailed } from "../errors.ts"
import { lengthProblem } from "../events/split.ts"
import type { FileServices } from "../files/locate.ts"
import { open } from "../open.ts"
import type { OpenOptions } from "../sets/options.ts"
import { type Answer, type Request, receiveError, type SentOptions, type WriteMessage } from "./protocol.ts"

/** Pieces of a batch for each worker: more than one, so that none waits long for the last one. */
const piecesPerWorker = 2

const failed = (problem: string) => new WorkerFailed({ problem: problem.replaceAll(/\s*\n\s*/g, "; ") })
const reasonOf = ({ reason }: WorkerError) =>
  reason.cause instanceof Error ? `${reason.message} ${reason.cause.message}` : reason.message

/** A worker that is ready. */
interface Ready {
  readonly write: (message: Omit<WriteMessage, "type" | "id">) => Effect.Effect<Float32Array, DatasetError>
}

/** Starts a worker, which ends with the scope. */
const start = Effect.fnUntraced(function* (id: number, dataset: string, options: SentOptions) {
  const platform = yield* WorkerPlatform
  const worker = yield* Effect.mapError(platform.spawn<Answer, Request>(id), (error) => failed(reasonOf(error)))
  const ready = yield* Deferred.make<void>()
  const waiting = new Map<number, Deferred.Deferred<Float32Array, DatasetError>>()
  const receive = (answer: Answer) => {
    // None waits for what was asked for by one who was interrupted.
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
    // What starts a worker may throw.
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

/** The split, written by whichever worker is idle. */
const inWorkers = (
  { shape, encoding }: Dataset,
  split: "train" | "test",
  { size, label }: Split,
  timeSteps: number,
  workers: number,
  idle: Queue.Queue<Ready>,
): Split => {
  const sampleSize = shape.reduce((product, side) => product * side, 1)
  const steps = encoding === "frames" ? timeSteps : 1
  return {
    size,
    label,
    write: (samples, keys, out) => {
      const count = samples.length
      const problem = lengthProblem(out.length, count * sampleSize, steps)
      if (problem !== undefined) return Effect.fail(problem)
      const piece = Math.ceil(count / (workers * piecesPerWorker))
      const starts = Array.from({ length: Math.ceil(count / piece) }, (_, i) => i * piece)
      const writePiece = (start: number) => {
        const end = Math.min(start + piece, count)
        const own = Array.from({ length: end - start }, (_, i) => samples[start + i] as number)
        const stride = own.length * sampleSize
        const message = { split, samples: own, keys: keys?.slice(start, end), length: steps * stride }
        return Effect.acquireUseRelease(
          Queue.take(idle),
          (worker) => worker.write(message),
          (worker) => Queue.offer(idle, worker),
        ).pipe(
          Effect.tap((values) => {
            for (let step = 0; step < steps; step++)
              out.set(values.subarray(step * stride, (step + 1) * stride), (step * count + start) * sampleSize)
            return Effect.void
          }),
        )
      }
      return Effect.forEach(starts, writePiece, { concurrency: "unbounded", discard: true })
    },
  }
}

/**
 * Opens a data set as `open` does, and has its samples made by so many workers, which end with the scope. Where no
 * workers can be had, it says so as a warning and the samples are made where they are asked for, the same bytes.
 *
 * Reading a sample may then also fail with `WorkerFailed`. The application says what a worker is: a program that runs
 * `serve`, started by the `Spawner`.
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
    const dataset = yield* open(name, options)
    if (workers === 0) return dataset
    // A function cannot be sent, and everything has been downloaded by now.
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
          Effect.logWarning(`no workers here (${problem}): samples are read by the training thread`),
          undefined,
        ),
      ),
    )
    if (started === undefined) return dataset
    const idle = yield* Queue.unbounded<Ready>()
    yield* Queue.offerAll(idle, started)
    const split = (part: "train" | "test") => inWorkers(dataset, part, dataset[part], options.timeSteps, workers, idle)
    return { ...dataset, train: split("train"), test: split("test") }
  },
)
