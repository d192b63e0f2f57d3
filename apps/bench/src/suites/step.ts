/** `step`: one training iteration on several backends, side by side in one run. */
import { print, table } from "@spikeroute/cli/terminal"
import { Backend, type Train } from "@spikeroute/core"
import { batches, type Dataset, open } from "@spikeroute/datasets"
import { Context, Effect, Layer, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { backendLayer } from "../backends.ts"
import { inTurn, milliseconds, spread } from "../timing.ts"
import { accuracy, describe, noise, percent, prepare, type Run, type Workload } from "../workloads.ts"

export interface StepOptions {
  readonly backends: ReadonlyArray<string>
  readonly threads: ReadonlyArray<number>
  readonly workloads: ReadonlyArray<Workload>
  readonly rounds: number
  /** Where MNIST is: then the networks are trained for 100 steps before they are timed. */
  readonly mnist: string | undefined
}

/** Steps that a network is trained for before it is timed. */
const trainingSteps = 100

const openMnist = (dataDir: string, timeSteps: number) =>
  open("mnist", { timeSteps, dataDir }).pipe(Effect.provide(FetchHttpClient.layer))

/** The first batches of MNIST, in the order of the files. */
const firstBatches = (dataset: Dataset, { batchSize, timeSteps }: Workload) =>
  batches(dataset, "train", { batchSize, timeSteps, remainder: "drop" }).pipe(
    Stream.take(trainingSteps + 1),
    Stream.runCollect,
  )

const trainOn = (run: Run, data: ReadonlyArray<Train.Batch>) =>
  Effect.gen(function* () {
    let right = 0
    const last = data.slice(-10)
    for (const batch of data) {
      const result = yield* run.step(batch)
      if (last.includes(batch)) right += accuracy(result, batch) / last.length
    }
    return right
  })

const stepOn = (workload: Workload, { backends, threads, rounds, mnist }: StepOptions) =>
  Effect.gen(function* () {
    const kinds = backends.flatMap((name) => threads.map((count) => ({ name, count })))
    const data =
      mnist === undefined
        ? undefined
        : Array.from(yield* firstBatches(yield* openMnist(mnist, workload.timeSteps), workload))
    const batch = (data?.at(-1) as Train.Batch | undefined) ?? noise(workload.batchSize)
    const runOn = ({ name, count }: (typeof kinds)[number]) =>
      Effect.gen(function* () {
        const context = yield* Layer.build(backendLayer(name, count))
        return yield* prepare(workload).pipe(Effect.provideService(Backend, Context.get(context, Backend)))
      })
    const runs = yield* Effect.forEach(kinds, runOn)
    // All start from the same weights: those that one more run, on the first backend, has learnt.
    let learnt: number | undefined
    if (data !== undefined) {
      const teacher = yield* runOn(kinds[0] as (typeof kinds)[number])
      learnt = yield* trainOn(teacher, data.slice(0, trainingSteps))
      const tensors = yield* teacher.trainer.save
      for (const run of runs) yield* run.trainer.load(tensors)
    }
    const timings = yield* inTurn(
      runs.map((run) => run.step(batch)),
      { rounds },
    )
    const slowest = timings.at(-1)?.median as number
    yield* print(
      [
        `\n${describe(workload)}; ${learnt === undefined ? "random weights, noise" : `after ${trainingSteps} steps on MNIST, then ${percent(learnt)} right`}`,
        table(
          ["backend, threads", "median ms", "least – most", "× last", "loss", "firing rates"],
          kinds.map(({ name, count }, i) => {
            const timing = timings[i] as (typeof timings)[number]
            const { loss, firingRates } = (runs[i] as Run).last()
            return [
              `${name}, ${count}`,
              milliseconds(timing.median),
              spread(timing),
              (slowest / timing.median).toFixed(1),
              loss.toFixed(3),
              firingRates.map(percent).join(" "),
            ]
          }),
        ),
      ].join("\n"),
    )
  }).pipe(Effect.scoped)

export const step = (options: StepOptions) =>
  Effect.forEach(options.workloads, (workload) => stepOn(workload, options), { discard: true })
