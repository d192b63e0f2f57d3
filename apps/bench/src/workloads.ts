/** Training iterations that are timed: a network, a policy, a batch of images or frames. */
import { Graph, Key, Models, Optimizer, Policy, type Program, Shape, Train } from "@spikeroute/core"
import { Effect } from "effect"

export interface Workload {
  readonly model: Models.ModelName
  readonly policy: Policy.Policy
  readonly timeSteps: number
  readonly batchSize: number
  /** Of one sample, or of one of its frames; default an image of 28×28 pixels. */
  readonly shape?: Shape.Shape
  /** Default static. */
  readonly encoding?: Program.Encoding
  /** A factor of the model's channels; default 1. */
  readonly width?: number
  /** Default 2. */
  readonly tau?: number
  /** Default Adam. */
  readonly optimizer?: Optimizer.OptimizerOptions["name"]
}

const imageShape: Shape.Shape = [28, 28, 1]

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
export const noise = (batchSize: number, scale = 1, shape = imageShape): Train.Batch => ({
  inputs: Key.uniform(Key.fold(Key.make(0), "inputs"), new Float32Array(batchSize * Shape.size(shape))).map(
    (u) => scale * u,
  ),
  labels: Key.uniform(Key.fold(Key.make(0), "labels"), new Float32Array(batchSize)).map((u) => Math.floor(u * classes)),
})

/** A batch for a workload: images of noise with variance 1, or frames with an event in 15 % of the places. */
export const batchOf = ({
  batchSize,
  timeSteps,
  shape = imageShape,
  encoding = "static",
}: Omit<Workload, "policy">): Train.Batch => {
  if (encoding === "static") return noise(batchSize, Math.sqrt(12), shape)
  const { inputs, labels } = noise(batchSize, 1, [timeSteps, ...shape])
  return { inputs: inputs.map((u) => (u < 0.15 ? 1 : 0)), labels }
}

/** Trains a workload's network on the backend at hand: cross-entropy, a learning rate of 10⁻³. */
export interface Run {
  readonly trainer: Train.Trainer
  readonly step: (batch: Train.Batch) => ReturnType<Train.Trainer["step"]>
  /** Of the last step. */
  readonly last: () => Train.BatchResult
}

export const prepare = ({ model, policy, timeSteps, batchSize, ...rest }: Workload) =>
  Effect.gen(function* () {
    const { shape = imageShape, encoding = "static", width = 1, tau = 2, optimizer = "adam" } = rest
    const graph = yield* Graph.make(shape, Models.models[model](classes, { width, neuron: { tau } }))
    const trainer = yield* Train.make(graph, policy, {
      batchSize,
      timeSteps,
      encoding,
      loss: { mix: 0, target: "ones" },
      optimizer: Optimizer.options(optimizer),
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
