/** `step`: one training iteration, on several backends and numbers of threads; after 100 steps on MNIST, where that is given. */

import { say } from "@spikeroute/cli/terminal"
import type { Train } from "@spikeroute/core"
import { Backend } from "@spikeroute/core"
import { batches, open } from "@spikeroute/datasets"
import { Effect, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type { Suite } from "../method/suite.ts"
import {
  accuracy,
  openBackend,
  percent,
  prepare,
  stepSubject,
  valuesOf,
  type Workload,
  workloads,
} from "../workloads.ts"

/** Steps that a network is trained for before it is timed. */
const trainingSteps = 100

/** The batch that is timed, and the weights that all start from: those that one run, on the first backend, has learnt. */
const learn = (workload: Workload, mnist: string, backend: string, threads: number) =>
  Effect.gen(function* () {
    const { batchSize, timeSteps } = workload
    const dataset = yield* open("mnist", { timeSteps, dataDir: mnist }).pipe(Effect.provide(FetchHttpClient.layer))
    const data: ReadonlyArray<Train.Batch> = Array.from(
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
      `${workload.model}, ${workload.policy.name}: ${trainingSteps} steps on MNIST, then ${percent(right)} right`,
    )
    return { batch: data.at(-1) as Train.Batch, learnt: yield* teacher.trainer.save }
  }).pipe(Effect.scoped)

export const stepOf = (chosen: ReadonlyArray<Workload>) =>
  ({
    name: "step",
    about: "one training iteration: models, policies, backends, threads",
    seconds: 300,
    backends: ["native", "wasm", "tfjs-wasm"],
    cases: ({ threads, mnist, quick }, backends) =>
      Effect.forEach(quick ? chosen.slice(0, 2) : chosen, (workload) =>
        Effect.gen(function* () {
          const [first = "native"] = backends
          const given = mnist === undefined ? {} : yield* learn(workload, mnist, first, Math.max(...threads))
          return {
            group: `${workload.model}, ${workload.policy.name}`,
            values: { ...valuesOf(workload), data: mnist === undefined ? "noise" : "MNIST" },
            subjects: backends.flatMap((name) => threads.map((count) => stepSubject(workload, name, count, given))),
          }
        }),
      ),
  }) satisfies Suite

export const step = stepOf(workloads)
