/** Training iterations that are timed: a network, a policy, a batch of 28×28 images. */
import { Graph, Key, Models, Optimizer, Policy, Train } from "@spikeroute/core"
import { Effect } from "effect"

export interface Workload {
  readonly model: Models.ModelName
  readonly policy: Policy.Policy
  readonly timeSteps: number
  readonly batchSize: number
}

export const describe = ({ model, policy, timeSteps, batchSize }: Workload): string =>
  `${model} ${policy.name}, T = ${timeSteps}, batch ${batchSize}`

/** Those that Spikeroute is held to. */
export const workloads: ReadonlyArray<Workload> = [
  { model: "conv", policy: Policy.sltt, timeSteps: 4, batchSize: 64 },
  { model: "mlp", policy: Policy.sltt, timeSteps: 25, batchSize: 128 },
  { model: "conv", policy: Policy.bptt, timeSteps: 32, batchSize: 64 },
  { model: "conv", policy: Policy.slttK(1), timeSteps: 32, batchSize: 64 },
]

const classes = 10

/** A batch of images of noise, brighter with `scale`, and random labels. */
export const noise = (batchSize: number, scale = 1): Train.Batch => ({
  inputs: Key.uniform(Key.fold(Key.make(0), "inputs"), new Float32Array(batchSize * 784)).map((u) => scale * u),
  labels: Key.uniform(Key.fold(Key.make(0), "labels"), new Float32Array(batchSize)).map((u) => Math.floor(u * classes)),
})

/** Trains a workload's network on the backend at hand: λ = 1/2, cross-entropy, Adam with a learning rate of 10⁻³. */
export interface Run {
  readonly trainer: Train.Trainer
  readonly step: (batch: Train.Batch) => ReturnType<Train.Trainer["step"]>
  /** Of the last step. */
  readonly last: () => Train.BatchResult
}

export const prepare = ({ model, policy, timeSteps, batchSize }: Workload) =>
  Effect.gen(function* () {
    const graph = yield* Graph.make([28, 28, 1], Models.models[model](classes, { neuron: { tau: 2 } }))
    const trainer = yield* Train.make(graph, policy, {
      batchSize,
      timeSteps,
      loss: { mix: 0, target: "ones" },
      optimizer: Optimizer.options("adam"),
      key: Key.make(0),
    })
    let update = 0
    let last: Train.BatchResult = { loss: Number.NaN, outputs: new Float32Array(), firingRates: [] }
    const step: Run["step"] = (batch) =>
      Effect.tap(trainer.step(batch, { update: ++update, learningRate: 1e-3 }), (result) =>
        Effect.sync(() => {
          last = result
        }),
      )
    return { trainer, step, last: () => last } satisfies Run
  })

/** Share of the batch whose label has the largest output. */
export const accuracy = ({ outputs }: Train.BatchResult, { labels }: Train.Batch): number => {
  const right = labels.filter((label, n) => {
    const row = outputs.subarray(n * classes, (n + 1) * classes)
    return row.indexOf(Math.max(...row)) === label
  })
  return right.length / labels.length
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
