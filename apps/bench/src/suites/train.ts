/** `train`: time until a network reaches a test accuracy under each policy, and the operations that this takes. */
import { Backend, Graph, Key, Models, Optimizer, Policy, type Program, Train } from "@spikeroute/core"
import { batches, type Dataset, open } from "@spikeroute/datasets"
import { Data, Effect, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { peerOf } from "../backends.ts"
import type { Subject } from "../method/measure.ts"
import { trainingOperations } from "../method/operations.ts"
import type { Case, Suite } from "../method/suite.ts"
import { openBackend } from "../workloads.ts"

/** The data, and the accuracy to reach. */
interface Task {
  readonly dataset: "shapes" | "mnist"
  readonly model: Models.ModelName
  readonly encoding: Program.Encoding
  readonly timeSteps: number
  readonly batchSize: number
  readonly learningRate: number
  /** Share of test samples to classify correctly, and the number of samples. */
  readonly accuracy: number
  readonly samples: number
  /** Batches between evaluations. */
  readonly every: number
  /** Maximum number of batches. */
  readonly most: number
}

const shapes: Task = {
  ...{ dataset: "shapes", model: "conv", encoding: "frames", timeSteps: 8, batchSize: 32, learningRate: 2e-3 },
  ...{ accuracy: 0.9, samples: 256, every: 16, most: 480 },
}

const mnist: Task = {
  ...{ dataset: "mnist", model: "conv", encoding: "static", timeSteps: 4, batchSize: 64, learningRate: 1e-3 },
  ...{ accuracy: 0.95, samples: 1024, every: 50, most: 1500 },
}

export class NotLearntError extends Data.TaggedError("NotLearntError")<{
  readonly accuracy: number
  readonly batches: number
}> {
  override get message(): string {
    return `after ${this.batches} batches ${(100 * this.accuracy).toFixed(1)} % are correct, below the target`
  }
}

const accuracyOf = (predictor: Train.Predictor, dataset: Dataset, { batchSize, timeSteps, samples }: Task) =>
  Effect.gen(function* () {
    let right = 0
    let seen = 0
    const test = batches(dataset, "test", { batchSize, timeSteps, limit: samples, remainder: "pad" })
    yield* Stream.runForEach(test, ({ inputs, labels, size }) =>
      Effect.map(predictor.predict(inputs), ({ outputs }) => {
        right += Train.hits(outputs, labels, 1, size)
        seen += size
      }),
    )
    return right / seen
  })

/** Trains from scratch until the accuracy is reached. Evaluation is not timed. */
const learn = (task: Task, dataset: Dataset, policy: Policy.Policy, seed: number) =>
  Effect.gen(function* () {
    const { batchSize, timeSteps, encoding } = task
    const graph = yield* Graph.make(dataset.shape, Models.models[task.model](dataset.classes, { neuron: { tau: 2 } }))
    const trainer = yield* Train.make(graph, policy, {
      ...{ batchSize, timeSteps, encoding, loss: { mix: 0.05, target: "ones" } },
      ...{ optimizer: Optimizer.adam(), key: Key.make(seed) },
    })
    const predictor = yield* Train.makePredictor(graph, { batchSize, timeSteps, encoding })
    let seconds = 0
    let count = 0
    let accuracy = 0
    let loss = Number.NaN
    const rates: Array<ReadonlyArray<number>> = []
    const cpu = process.cpuUsage()
    let testing = 0
    for (let epoch = 0; accuracy < task.accuracy; epoch++) {
      const data = batches(dataset, "train", {
        ...{ batchSize, timeSteps, remainder: "drop", key: Key.fold(Key.make(seed), "epoch", epoch) },
      })
      yield* Stream.runForEachWhile(data, (batch) =>
        Effect.gen(function* () {
          const before = performance.now()
          const result = yield* trainer.step(batch, { update: ++count, learningRate: task.learningRate })
          seconds += (performance.now() - before) / 1000
          loss = result.loss
          rates.push(result.firingRates)
          if (count % task.every === 0) {
            const used = process.cpuUsage()
            yield* predictor.load(yield* trainer.save)
            accuracy = yield* accuracyOf(predictor, dataset, task)
            const { user, system } = process.cpuUsage(used)
            testing += user + system
          }
          yield* Effect.yieldNow
          return accuracy < task.accuracy && count < task.most
        }),
      )
      if (count >= task.most && accuracy < task.accuracy) return yield* new NotLearntError({ accuracy, batches: count })
    }
    const { user, system } = process.cpuUsage(cpu)
    const firingRates = (rates[0] ?? []).map(
      (_, layer) => rates.reduce((sum, each) => sum + (each[layer] as number), 0) / rates.length,
    )
    const { multiplications, additions, picojoules } = trainingOperations(trainer.program, firingRates)
    return {
      ...{ seconds, loss, firingRates },
      figures: {
        batches: count,
        "test accuracy": accuracy,
        "processor seconds": (user + system - testing) / 1e6,
        "planned bytes": trainer.program.arenaBytes,
        multiplications: count * multiplications,
        additions: count * additions,
        "energy proxy mJ": count * picojoules * 1e-9,
      },
    }
  }).pipe(Effect.scoped)

export const train: Suite = {
  name: "train",
  about: "time and operations until a target accuracy: shapes, and MNIST if given",
  seconds: 140,
  backends: ["native", "wasm"],
  cases: ({ threads: counts, mnist: folder, quick }, backends) =>
    Effect.gen(function* () {
      const threads = Math.max(...counts)
      const tasks = folder === undefined ? [shapes] : [shapes, mnist]
      return yield* Effect.forEach(tasks, (task) =>
        Effect.gen(function* () {
          const { timeSteps } = task
          const dataset = yield* open(task.dataset, {
            timeSteps,
            ...(task.dataset === "mnist" ? { dataDir: folder } : {}),
          }).pipe(Effect.provide(FetchHttpClient.layer))
          const subject = (policy: Policy.Policy, backend: string): Subject => ({
            name: backend,
            ...peerOf(backend),
            values: { policy: policy.name },
            open: Effect.gen(function* () {
              const service = yield* openBackend(backend, threads)
              let seen: Effect.Success<ReturnType<typeof learn>> | undefined
              // Always the same seed, so that every run does the same work.
              return {
                run: learn(task, dataset, policy, 0).pipe(
                  Effect.provideService(Backend, service),
                  Effect.map((result) => {
                    seen = result
                    return result.seconds
                  }),
                ),
                observe: () => seen ?? {},
              }
            }),
          })
          const policies = quick ? [Policy.sltt] : [Policy.bptt, Policy.sltt, Policy.slttK(2)]
          return {
            group: `${task.dataset} to ${100 * task.accuracy} %`,
            values: { model: task.model, timeSteps, batchSize: task.batchSize, threads },
            subjects: [
              ...policies.map((policy) => subject(policy, backends[0] as string)),
              ...backends.slice(1).map((backend) => subject(Policy.sltt, backend)),
            ],
          } satisfies Case
        }),
      )
    }),
}
