/** `infer`: latency at batch 1 (median and 99th percentile), throughput at batch 64, and operations per sample. */
import { Backend, Policy, Train } from "@spikeroute/core"
import { Effect } from "effect"
import { backendLayer, peerOf } from "../backends.ts"
import type { Subject } from "../method/measure.ts"
import { operationsOf } from "../method/operations.ts"
import { quantile } from "../method/statistics.ts"
import type { Case, Suite } from "../method/suite.ts"
import { batchOf, deviation, graphOf, openBackend, trainedParameters, type Workload } from "../workloads.ts"

const models = [
  { model: "conv", timeSteps: 4 },
  { model: "mlp", timeSteps: 4 },
] as const

/** A predictor with slightly trained parameters: without training, neurons hardly fire. */
const predictorOf = (workload: Workload) =>
  Effect.gen(function* () {
    const graph = yield* graphOf(workload)
    const predictor = yield* Train.makePredictor(graph, {
      batchSize: workload.batchSize,
      timeSteps: workload.timeSteps,
      encoding: workload.encoding ?? "static",
    })
    yield* predictor.load((yield* trainedParameters(workload)) ?? new Map())
    return predictor
  })

const subject = (workload: Workload, backend: string, threads: number): Subject => {
  /** Latencies of all timed runs. */
  const latencies: Array<number> = []
  return {
    name: backend,
    ...peerOf(backend),
    values: { threads },
    open: Effect.gen(function* () {
      const service = yield* openBackend(backend, threads)
      const predictor = yield* predictorOf(workload).pipe(Effect.provideService(Backend, service))
      const { inputs } = batchOf(workload)
      let rates: ReadonlyArray<number> = []
      const predict = Effect.gen(function* () {
        const before = performance.now()
        rates = (yield* predictor.predict(inputs)).firingRates
        return (performance.now() - before) / 1000
      })
      return {
        run: predict,
        repeatable: ({ times, uncounted }) =>
          Effect.gen(function* () {
            for (let i = 0; i < uncounted; i++) yield* predict
            const counted: Array<number> = []
            for (let i = 0; i < times; i++) counted.push(yield* predict)
            latencies.push(...counted)
            return counted.reduce((sum, seconds) => sum + seconds, 0) / times
          }),
        check: Effect.gen(function* () {
          const less = { ...workload, batchSize: 1 }
          const batch = batchOf(less)
          const predict = Effect.flatMap(predictorOf(less), (each) => each.predict(batch.inputs)).pipe(Effect.scoped)
          const right = yield* predict.pipe(Effect.provide(backendLayer("reference", 1)))
          const found = yield* predict.pipe(Effect.provideService(Backend, service))
          return { against: "reference, batch 1", error: deviation(right.outputs, found.outputs) }
        }),
        observe: (seconds) => ({
          firingRates: rates,
          figures: {
            ...(workload.batchSize === 1
              ? { "p50 ms": 1000 * quantile(latencies, 0.5), "p99 ms": 1000 * quantile(latencies, 0.99) }
              : {}),
            "samples/s": workload.batchSize / seconds,
          },
        }),
      }
    }),
  }
}

export const infer: Suite = {
  name: "infer",
  about: "latency (p50, p99) at batch 1, throughput at batch 64, operations per sample",
  seconds: 90,
  backends: ["native", "wasm", "tfjs-wasm"],
  cases: ({ threads: counts }, backends) =>
    Effect.sync(() => {
      const threads = Math.max(...counts)
      const workloads = models.flatMap((each) =>
        [1, 64].map((batchSize) => ({ ...each, batchSize, policy: Policy.sltt })),
      )
      return [
        ...workloads.map(
          (workload): Case => ({
            group: `${workload.model}, batch ${workload.batchSize}`,
            values: { model: workload.model, timeSteps: workload.timeSteps, batchSize: workload.batchSize },
            subjects: backends.map((backend) => subject(workload, backend, threads)),
          }),
        ),
        ...models.map(
          (each): Case => ({
            group: "operations per sample, as counted by NeuroBench",
            subject: "wasm",
            values: { model: each.model, timeSteps: each.timeSteps },
            read: operationsOf({ ...each, batchSize: 16, policy: Policy.sltt }).pipe(
              Effect.provide(backendLayer("wasm", 1)),
            ),
          }),
        ),
      ]
    }),
}
