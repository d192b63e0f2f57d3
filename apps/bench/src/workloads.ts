/** Training iterations to time: a network, a policy, and a batch of images or frames. */
import {
  add,
  Backend,
  currentBasedLif,
  Graph,
  Key,
  linear,
  Models,
  Optimizer,
  Policy,
  type Program,
  recurrent,
  Shape,
  Train,
} from "@spikeroute/core"
import { Context, Duration, Effect, Layer } from "effect"
import { backendLayer, peerOf } from "./backends.ts"
import type { Subject } from "./method/measure.ts"
import type { Check, Values } from "./method/row.ts"
import { median } from "./method/statistics.ts"

export interface Workload {
  /** The network, or what one of a file is called. */
  readonly model: Models.ModelName | "rsnn" | (string & {})
  /** The network of a file. */
  readonly graph?: Graph.Graph
  readonly policy: Policy.Policy
  readonly timeSteps: number
  readonly batchSize: number
  /** Shape of one sample, or of one of its frames. Default: a 28×28 image. */
  readonly shape?: Shape.Shape
  /** Default static. */
  readonly encoding?: Program.Encoding
  /** Factor of the model's channels. Default 1. */
  readonly width?: number
  /** Membrane time constant. Default 2. */
  readonly tau?: number
  /** Default Adam. */
  readonly optimizer?: Optimizer.OptimizerName
}

export const imageShape: Shape.Shape = [28, 28, 1]

/** Whether a network is deep: not one of the small ones without batch norm. */
export const isDeep = ({ model }: Pick<Workload, "model">): boolean =>
  model !== "conv" && model !== "mlp" && model !== "rsnn"

/** The main workloads. */
export const workloads: ReadonlyArray<Workload> = [
  { model: "conv", policy: Policy.sltt, timeSteps: 4, batchSize: 64 },
  { model: "mlp", policy: Policy.sltt, timeSteps: 25, batchSize: 128 },
  { model: "conv", policy: Policy.bptt, timeSteps: 32, batchSize: 64 },
  { model: "conv", policy: Policy.slttK(1), timeSteps: 32, batchSize: 64 },
]

const resnet18: Omit<Workload, "policy"> = {
  ...{ model: "resnet18", shape: [32, 32, 3], timeSteps: 6, batchSize: 32, tau: 1.1, optimizer: "sgd" },
}
const vgg11: Omit<Workload, "policy"> = {
  ...{ model: "vgg11", shape: [48, 48, 2], encoding: "frames", timeSteps: 20, batchSize: 16, tau: 1.1 },
  optimizer: "sgd",
}

/** The SLTT paper's networks, in the shapes of CIFAR-10 and of DVS-Gesture at 48×48. */
export const paperWorkloads: ReadonlyArray<Workload> = [
  ...[Policy.sltt, Policy.slttK(1), Policy.bptt].map((policy) => ({ ...resnet18, policy })),
  ...[Policy.sltt, Policy.slttK(4), Policy.bptt].map((policy) => ({ ...vgg11, policy })),
]

const rsnn: Omit<Workload, "policy"> = {
  ...{ model: "rsnn", shape: [700], encoding: "frames", timeSteps: 100, batchSize: 128, tau: 10 },
}

/** A recurrent network as trained on spoken digits: 700 channels, of which 3 % spike per step, and 20 classes. */
export const recurrentWorkloads: ReadonlyArray<Workload> = [Policy.sltt, Policy.bptt].map((policy) => ({
  ...rsnn,
  policy,
}))

/** A depthwise-separable network for microcontrollers, and one of sequences. */
export const compactWorkloads: ReadonlyArray<Workload> = [Policy.sltt, Policy.bptt].flatMap((policy) => [
  { model: "mobilenet", policy, shape: imageShape, timeSteps: 4, batchSize: 64 },
  { model: "cnn1d", policy, shape: [256, 1], timeSteps: 4, batchSize: 64 },
])

const classes = 10
const recurrentClasses = 20

/** Two recurrent layers of current-based neurons. */
const recurrentNetwork = (width: number, tau: number): Graph.Layer => {
  const features = Math.round(256 * width)
  const neuron = currentBasedLif({ currentDecay: 0.8, decay: 1 - 1 / tau })
  const layer = recurrent((x, fedBack) =>
    neuron(add(linear({ features })(x, "input"), linear({ features, bias: false })(fedBack, "recurrent")), "neuron"),
  )
  return Graph.sequential(layer, layer, linear({ features: recurrentClasses }))
}

/** Splits a policy's name, such as "slttk(1)", into policy and k. */
export const policyAndK = ({ name }: Policy.Policy) => {
  const [policy = name, k] = name.replace(")", "").split("(")
  return { policy: policy as Policy.PolicyName, ...(k === undefined ? {} : { k: Number(k) }) }
}

/** A batch with class labels. */
export type Labelled = Train.Batch & { readonly labels: Float32Array }

/** The number of classes of a workload's network. */
const classesOf = ({ graph }: Pick<Workload, "graph">): number =>
  graph?.types.get(graph.output)?.shape.at(-1) ?? classes

/** A batch of noise images, brighter with `scale`, and random labels. */
export const noise = (batchSize: number, scale = 1, shape = imageShape, labelled = classes): Labelled => ({
  inputs: Key.uniform(Key.fold(Key.make(0), "inputs"), new Float32Array(batchSize * Shape.size(shape))).map(
    (u) => scale * u,
  ),
  labels: Key.uniform(Key.fold(Key.make(0), "labels"), new Float32Array(batchSize)).map((u) =>
    Math.floor(u * labelled),
  ),
})

/** Side lengths in pixels of the squares that noise is summed over. */
const octaves = [1, 2, 4, 8, 16, 32]

/**
 * A batch of images with natural statistics: neighbouring pixels are correlated, and every octave contributes the same share of the variance,
 * which is 1. White noise would average out in pooling, and the network behind it would be silent.
 */
const images = (batchSize: number, shape: Shape.Shape): Labelled => {
  const [channels = 1, width = 1, height = 1] = shape.toReversed()
  const { inputs: drawn, labels } = noise(batchSize, 1, shape)
  const deviation = Math.sqrt(octaves.length / 12)
  const inputs = drawn.map((_, i) => {
    const channel = i % channels
    const column = Math.floor(i / channels) % width
    const row = Math.floor(i / (channels * width)) % height
    const first = i - (row * width + column) * channels - channel
    let sum = 0
    for (const [o, side] of octaves.entries()) {
      const corner = first + ((row - (row % side)) * width + column - (column % side)) * channels + channel
      // Squares of several octaves share corners: offset the index, so that each octave draws its own numbers.
      sum += (drawn[(corner + 1009 * o * channels) % drawn.length] as number) - 0.5
    }
    return sum / deviation
  })
  return { inputs, labels }
}

/** A batch for a workload: noise, natural images if a shape is given, or frames with 15 % events (3 % for inputs that are not images). */
export const batchOf = (workload: Omit<Workload, "policy">): Labelled => {
  const { batchSize, timeSteps, shape, encoding = "static", graph } = workload
  if (encoding === "static" && graph === undefined)
    return shape === undefined ? noise(batchSize) : images(batchSize, shape)
  if (encoding === "static") return noise(batchSize, 1, shape, classesOf(workload))
  const { inputs, labels } = noise(batchSize, 1, [timeSteps, ...(shape ?? imageShape)], classesOf(workload))
  const share = shape?.length === 1 ? 0.03 : 0.15
  return { inputs: inputs.map((u) => (u < share ? 1 : 0)), labels }
}

/** Training of a workload on the backend in context, with cross-entropy. */
export interface Run {
  readonly trainer: Train.Trainer
  /** The learning rate defaults to 10⁻³. */
  readonly step: (batch: Train.Batch, learningRate?: number) => ReturnType<Train.Trainer["step"]>
  /** The result of the last step. */
  readonly last: () => Train.BatchResult
}

/** The network of a workload. */
export const graphOf = ({ model, graph, shape = imageShape, width = 1, tau = 2 }: Omit<Workload, "policy">) =>
  graph === undefined
    ? Graph.make(
        shape,
        model === "rsnn"
          ? recurrentNetwork(width, tau)
          : Models.models[model as Models.ModelName](classes, { width, neuron: { tau } }),
      )
    : Effect.succeed(graph)

/** Compiler options of a workload. */
export const trainingOptionsOf = ({ batchSize, timeSteps, encoding = "static", optimizer = "adam" }: Workload) => ({
  ...{ batchSize, timeSteps, encoding, loss: { mix: 0, target: "ones" } as const },
  ...{ optimizer: Optimizer.options(optimizer), key: Key.make(0) },
})

export const prepare = (workload: Workload) =>
  Effect.gen(function* () {
    const graph = yield* graphOf(workload)
    const trainer = yield* Train.make(graph, workload.policy, trainingOptionsOf(workload))
    let update = 0
    let last: Train.BatchResult = { loss: Number.NaN, outputs: new Float32Array(), firingRates: [] }
    const step: Run["step"] = (batch, learningRate = 1e-3) =>
      Effect.tap(trainer.step(batch, { update: ++update, learningRate }), (result) =>
        Effect.sync(() => {
          last = result
        }),
      )
    return { trainer, step, last: () => last } satisfies Run
  })

/** A trainer's parameters, without optimiser state. */
export const parametersOf = (trainer: Train.Trainer) => Effect.map(trainer.save, Train.parametersOf)

/** Updates on noise before a small network is timed: without them, hardly any neuron fires. */
export const updates = 30

const trained = new Map<string, Train.Tensors>()

/** Parameters of a small network trained on a batch of noise; undefined for other networks. */
export const trainedParameters = (workload: Omit<Workload, "policy">) =>
  Effect.gen(function* () {
    const { model, width = 1, tau = 2, shape } = workload
    if (isDeep(workload) || shape !== undefined) return undefined
    const id = JSON.stringify([model, width, tau])
    const known = trained.get(id)
    if (known !== undefined) return known
    const { trainer, step } = yield* prepare({ model, width, tau, policy: Policy.sltt, timeSteps: 4, batchSize: 64 })
    const batch = noise(64)
    for (let update = 0; update < updates; update++) yield* step(batch)
    const parameters = yield* parametersOf(trainer)
    trained.set(id, parameters)
    return parameters
  }).pipe(Effect.scoped, Effect.provide(backendLayer("wasm", 2)))

/** The values of a workload's rows. */
export const valuesOf = ({ model, policy, timeSteps, batchSize, width }: Workload): Values => ({
  ...{ model, policy: policy.name, timeSteps, batchSize },
  ...(width === undefined || width === 1 ? {} : { width }),
})

/** The largest difference divided by the largest value, or by `scale` if that is larger. */
export const deviation = (right: ArrayLike<number>, found: ArrayLike<number>, scale = 0): number => {
  let difference = right.length === found.length ? 0 : Number.POSITIVE_INFINITY
  for (let i = 0; i < right.length; i++) {
    const here = Math.abs(right[i]! - found[i]!)
    if (!(here <= difference)) difference = here
    scale = Math.max(scale, Math.abs(right[i]!))
  }
  return scale === 0 ? difference : difference / scale
}

/**
 * A smaller version of a workload for the reference: the same layers, one or two samples, few time steps. With more neurons and steps, it
 * becomes likely that rounding decides about a spike, after which all results differ.
 */
export const smallVersion = (workload: Workload): Workload => ({
  ...workload,
  batchSize: isDeep(workload) ? 1 : 2,
  timeSteps: Math.min(workload.timeSteps, 4),
})

const differentiated = (workload: Workload) =>
  Effect.flatMap(prepare(workload), ({ trainer }) => trainer.differentiate(batchOf(workload), { update: 1 })).pipe(
    Effect.scoped,
  )

type Differentiated = Effect.Success<ReturnType<typeof differentiated>>

const references = new Map<string, Differentiated>()

const maximum = (most: number, value: number) => Math.max(most, Math.abs(value))

/** Compares loss, read-out, firing rates and all gradients of a small batch with the reference backend's. */
export const checkStep = (workload: Workload) =>
  Effect.gen(function* () {
    const less = smallVersion(workload)
    const id = JSON.stringify([valuesOf(less), less.shape, less.encoding, less.tau])
    const right = references.get(id) ?? (yield* differentiated(less).pipe(Effect.provide(backendLayer("reference", 1))))
    references.set(id, right)
    const found = yield* differentiated(less)
    // The gradient of a bias before a batch norm is pure rounding error: compare it relative to the largest gradient.
    const largest = Math.max(...[...right.gradients.values()].map((values) => values.reduce(maximum, 0)))
    const errors = [
      deviation([right.loss], [found.loss]),
      deviation(right.outputs, found.outputs),
      deviation(right.firingRates, found.firingRates),
      ...[...right.gradients].map(([name, values]) =>
        deviation(values, found.gradients.get(name) ?? [], 1e-3 * largest),
      ),
    ]
    return {
      against: `reference, batch ${less.batchSize}, T = ${less.timeSteps}`,
      error: Math.max(...errors),
    } satisfies Check
  })

/** Opens a backend for the scope. */
export const openBackend = (name: string, threads: number) =>
  Effect.map(Layer.build(backendLayer(name, threads)), (context) => Context.get(context, Backend))

/** The state of an iteration: a batch and parameters; undefined means initial parameters. */
export interface State {
  readonly batch: Labelled
  readonly parameters: Train.Tensors | undefined
}

/** Learning rate of timed iterations: with 0 the work is the same, but weights and firing rates do not depend on the number of repetitions. */
export const timedLearningRate = 0

/**
 * Updates before a deep network is timed. The last layer and the gains of NF nets start at 0, and kernels skip zeros: after two updates the
 * gradient reaches all layers.
 */
const firstUpdates = 3

/** The median of 15 times, in seconds. */
const timed = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(
    Effect.forEach(Array.from({ length: 15 }), () =>
      Effect.map(Effect.timed(effect), ([took]) => Duration.toSeconds(took)),
    ),
    median,
  )

/**
 * Seconds that a step spends on input checks. A batch is checked completely before it is rejected for its last label, so a rejected step costs
 * the check of inputs and labels, and the error.
 */
const checksOf = ({ graph, step, executable }: Train.Trainer, batch: Labelled) =>
  Effect.gen(function* () {
    const refused = { ...batch, labels: batch.labels.with(-1, classesOf({ graph })) }
    const inputs = yield* timed(Effect.flip(step(refused, { update: 1, learningRate: timedLearningRate })))
    return { inputs, gradients: yield* timed(executable.gradientsAreFinite) }
  })

/**
 * A backend that runs a workload's training iteration with the given state, or after training on noise. `showsChecks` adds the share of time
 * spent on checks.
 */
export const stepSubject = (
  workload: Workload,
  backend: string,
  threads: number,
  given: Partial<State> = {},
  showsChecks = false,
): Subject => ({
  name: backend,
  ...peerOf(backend),
  values: { threads: backend === "tfjs-cpu" || backend === "reference" ? 1 : threads },
  open: Effect.gen(function* () {
    const service = yield* openBackend(backend, threads)
    const { batch = batchOf(workload) } = given
    const run = yield* prepare(workload).pipe(Effect.provideService(Backend, service))
    const parameters = "parameters" in given ? given.parameters : yield* trainedParameters(workload)
    if (parameters !== undefined) yield* run.trainer.loadParameters(parameters)
    else if (!("parameters" in given)) for (let i = 0; i < firstUpdates; i++) yield* run.step(batch)
    const checks = showsChecks ? yield* checksOf(run.trainer, batch) : undefined
    return {
      run: Effect.as(run.step(batch, timedLearningRate), undefined),
      repeatable: true,
      ...(backend === "reference" ? {} : { check: checkStep(workload).pipe(Effect.provideService(Backend, service)) }),
      observe: (seconds) => ({
        ...{ loss: run.last().loss, firingRates: run.last().firingRates },
        ...(checks && {
          figures: {
            "input check share": checks.inputs / seconds,
            "gradient check share": checks.gradients / seconds,
          },
        }),
      }),
    }
  }),
})

/** Share of the batch whose label has the largest output. */
export const accuracy = ({ outputs }: Train.BatchResult, { labels }: Labelled): number => {
  const right = labels.filter((label, n) => {
    const row = outputs.subarray(n * classes, (n + 1) * classes)
    return row.indexOf(Math.max(...row)) === label
  })
  return right.length / labels.length
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
