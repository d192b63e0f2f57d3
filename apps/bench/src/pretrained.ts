/** Networks pretrained on MNIST: their parameters, and the next batch. */
import { say } from "@spikeroute/cli/terminal"
import { Backend } from "@spikeroute/core"
import { batches, type FileServices, open } from "@spikeroute/datasets"
import { Effect, Stream } from "effect"
import {
  accuracy,
  type Labelled,
  openBackend,
  parametersOf,
  percent,
  prepare,
  type State,
  valuesOf,
  type Workload,
} from "./workloads.ts"

/** Training steps before a network is timed. */
export const trainingSteps = 100

const cache = new Map<string, State>()

/** Parameters after {@link trainingSteps} steps on MNIST from a folder, trained once per workload and shared by all suites. */
export const pretrainedOnMnist = (workload: Workload, mnist: string, backend: string, threads: number) =>
  Effect.gen(function* () {
    const id = JSON.stringify([valuesOf(workload), mnist])
    const known = cache.get(id)
    if (known !== undefined) return known
    const { batchSize, timeSteps } = workload
    const dataset = yield* open("mnist", { timeSteps, dataDir: mnist })
    const data: ReadonlyArray<Labelled> = Array.from(
      yield* batches(dataset, "train", { batchSize, timeSteps, remainder: "drop" }).pipe(
        Stream.take(trainingSteps + 1),
        Stream.runCollect,
      ),
    )
    const service = yield* openBackend(backend, threads)
    const teacher = yield* prepare(workload).pipe(Effect.provideService(Backend, service))
    let right = 0
    for (const [i, batch] of data.slice(0, trainingSteps).entries()) {
      const result = yield* teacher.step(batch)
      if (i >= trainingSteps - 10) right += accuracy(result, batch) / 10
    }
    yield* say(
      `${workload.model}, ${workload.policy.name}: ${trainingSteps} steps on MNIST, accuracy ${percent(right)}`,
    )
    const state: State = { batch: data.at(-1) as Labelled, parameters: yield* parametersOf(teacher.trainer) }
    cache.set(id, state)
    return state
  }).pipe(Effect.scoped) satisfies Effect.Effect<State, unknown, FileServices>
