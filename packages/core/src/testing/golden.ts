/**
 * Golden files: results that PyTorch computed in float64 for one batch of a network under one policy.
 *
 * A file contains, in PyTorch's layouts: `param.<name>`, `input` [T, N, …], `label` [N] (depending on the metadata's `target`, a
 * label per step [T, N], −1 if it does not count, or `target` [T, N, outputs]), `steps` (the trained steps, counted from 0), and
 * PyTorch's results: `out` [T, N, classes], `spikes.<i>` [T, N, …] of the i-th layer of neurons, `grad.<name>` and, for running
 * statistics after the batch, `after.<name>`. The metadata contain the network, τ, the surrogate, the route and the loss.
 *
 * Files of the named models are small: their metadata contain the model, its width, the seed from which parameters and data are
 * drawn (see drawn.ts), and the kind of data. For spikes, they contain the number per layer and step, `counts` [layers, T]; for
 * larger gradients, a sample; and for all gradients, `summary.<name>`.
 */
import { Effect, Schema, type Scope } from "effect"
import { Backend } from "../backend/backend.ts"
import {
  type BackendError,
  CheckpointError,
  type OptionError,
  type PolicyError,
  type ProgramError,
  type UnsupportedKernelError,
} from "../errors.ts"
import * as Graph from "../graph/index.ts"
import { edgesOf, spikingLayers } from "../graph/nodes.ts"
import { fromPyTorch, toPyTorch, valuesFromPyTorch } from "../interop/pytorch.ts"
import type { StoredTensor, TensorFile } from "../interop/safetensors.ts"
import { crossEntropy, firingRate, type LossTerm, meanSquaredError, type Objective } from "../losses/index.ts"
import { type ModelName, modelNames, models } from "../models/index.ts"
import * as Optimizer from "../optimizers/index.ts"
import * as Policy from "../policies/policy.ts"
import { custom } from "../policies/steps.ts"
import { bufferNames, compile, forwardSegments, schedule } from "../program/index.ts"
import { type Shape, size } from "../shape.ts"
import * as Surrogate from "../surrogates/index.ts"
import { upload } from "../train/run.ts"
import { checkBatch } from "../train/targets.ts"
import * as Drawn from "./drawn.ts"
import { networks } from "./golden-networks.ts"

/** Whether a file's name is that of the golden file of a known network. */
export const isReadable = (file: string): boolean => {
  const [net = ""] = file.split("-")
  return file.endsWith(".safetensors") && (Object.hasOwn(networks, net) || modelNames.some((model) => model === net))
}

/**
 * The deviation of a backend from a golden file: the largest absolute difference divided by the largest absolute golden value, by
 * kind.
 */
export interface GoldenErrors {
  /** Of the outputs of all steps. */
  readonly out: number
  /** Of the gradients of all weights. */
  readonly gradients: number
  /** 0 if the network has no running statistics. */
  readonly statistics: number
  /** Number of spikes that differ. */
  readonly spikesMismatched: number
}

/** Whether deviations are within float32 rounding. */
export const passes = ({ out, gradients, statistics, spikesMismatched }: GoldenErrors): boolean =>
  out <= 1e-4 && gradients <= 1e-4 && statistics <= 1e-4 && spikesMismatched === 0

class Deviation {
  difference = 0
  scale = 0

  add(golden: Float32Array, ours: Float32Array): void {
    for (let i = 0; i < golden.length; i++) {
      const difference = Math.abs(golden[i]! - ours[i]!)
      if (!(difference <= this.difference)) this.difference = difference
      this.scale = Math.max(this.scale, Math.abs(golden[i]!))
    }
  }

  get relative(): number {
    return this.scale === 0 ? this.difference : this.difference / this.scale
  }
}

/** A golden file with its name, for error messages. */
interface Golden extends TensorFile {
  readonly file: string
}

const refuse = ({ file }: Golden, reason: string) => Effect.fail(new CheckpointError({ file, reason }))

/** A tensor of the file, with `count` numbers if given. */
const tensor = (golden: Golden, name: string, count?: number): Effect.Effect<StoredTensor, CheckpointError> => {
  const found = golden.tensors.get(name)
  if (found === undefined || found.unsupported !== undefined) return refuse(golden, `it has no tensor ${name}`)
  const { length } = found.values
  return count === undefined || length === count
    ? Effect.succeed(found)
    : refuse(golden, `its tensor ${name} has ${length} numbers, not ${count}`)
}

const graphOf = (golden: Golden, shape: Shape, network: Graph.Layer) =>
  Effect.mapError(
    Graph.make(shape, network),
    ({ message }) => new CheckpointError({ file: golden.file, reason: `its network: ${message}` }),
  )

/** The shape of a sample in our layout. */
const channelsLast = ([channels = 1, ...extents]: Shape): Shape => [...extents, channels]

/** The workload of a golden file. */
interface Workload {
  readonly graph: Graph.Graph
  readonly timeSteps: number
  readonly batchSize: number
  /** [T, N, …] */
  readonly frames: Float32Array
  /** Labels [N] or [T, N]; targets [T, N, outputs]. */
  readonly labels?: Float32Array
  readonly targets?: Float32Array
  readonly valuesOf: (parameter: Graph.Parameter) => Effect.Effect<Float32Array, CheckpointError>
}

const neuronOf = (golden: Golden) => {
  const { tau, surrogate } = golden.metadata
  const name = Surrogate.surrogateNames.find((each) => each === surrogate)
  return name === undefined
    ? refuse(golden, `its surrogate is ${surrogate}`)
    : Effect.succeed({ tau: tau === undefined ? 1 : Number(tau), surrogate: Surrogate.defaults[name] })
}

/** The tensor of a file's targets, and the loss that uses them. */
const targets: Readonly<Record<string, { readonly tensor: "label" | "target"; readonly loss?: LossTerm }>> = {
  class: { tensor: "label" },
  "step-class": { tensor: "label", loss: crossEntropy() },
  "sum-class": { tensor: "label", loss: crossEntropy({ over: "mean" }) },
  "step-value": { tensor: "target", loss: meanSquaredError() },
}

const targetOf = (golden: Golden) => {
  const { target = "class" } = golden.metadata
  const known = Object.hasOwn(targets, target) ? targets[target] : undefined
  return known === undefined ? refuse(golden, `its target is ${target}`) : Effect.succeed(known)
}

const toldBy = (golden: Golden, timeSteps: number, batchSize: number) =>
  Effect.gen(function* () {
    const { tensor: name } = yield* targetOf(golden)
    const { values } = yield* tensor(golden, name)
    if (name === "target") return { targets: values }
    const count = golden.metadata.target === "step-class" ? timeSteps * batchSize : batchSize
    return { labels: (yield* tensor(golden, name, count)).values }
  })

/** The loss of a file. */
const lossOf = (golden: Golden): Effect.Effect<Objective, CheckpointError> =>
  Effect.map(targetOf(golden), ({ loss }) => {
    const rate = Number(golden.metadata.rate ?? 0)
    if (loss === undefined && rate === 0) return { mix: Number(golden.metadata.loss_lambda ?? 0), target: "ones" }
    return [loss ?? crossEntropy(), ...(rate === 0 ? [] : [firingRate({ rate })])]
  })

/** A small network, with all values in the file. */
const stored = (golden: Golden) =>
  Effect.gen(function* () {
    const { net = "" } = golden.metadata
    const network = Object.hasOwn(networks, net) ? networks[net] : undefined
    if (network === undefined) return yield* refuse(golden, `no golden file: its network is ${net || "not named"}`)
    const neuron = yield* neuronOf(golden)
    const input = yield* tensor(golden, "input")
    const [timeSteps = 0, batchSize = 0, ...sample] = input.shape
    if (timeSteps * batchSize === 0) return yield* refuse(golden, "its input is not [time steps, samples, …]")
    const shape = channelsLast(sample)
    const graph = yield* graphOf(golden, shape, network(neuron))
    return {
      graph,
      timeSteps,
      batchSize,
      frames: valuesFromPyTorch(graph, Graph.inputName, input.values),
      ...(yield* toldBy(golden, timeSteps, batchSize)),
      valuesOf: (parameter) =>
        Effect.map(tensor(golden, `param.${parameter.name}`, size(parameter.shape)), ({ values }) =>
          fromPyTorch(graph, parameter, values),
        ),
    } satisfies Workload
  })

const extent = Schema.isBetween({ minimum: 1, maximum: 1024 })
const Count = Schema.FiniteFromString.check(Schema.isInt(), extent)
const Extent = Schema.Int.check(extent)

/** Metadata of files with drawn values. */
const DrawnMetadata = Schema.Struct({
  width: Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
  seed: Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 2 ** 32 })),
  classes: Count,
  time_steps: Count,
  batch: Count,
  /** Channels, height and width. */
  sample: Schema.fromJsonString(Schema.Tuple([Extent, Extent, Extent])),
  data: Schema.Literals(["images", "events"]),
})

/** A named model, with drawn values. */
const drawn = (golden: Golden, model: ModelName) =>
  Effect.gen(function* () {
    const neuron = yield* neuronOf(golden)
    const options = yield* Schema.decodeUnknownEffect(DrawnMetadata)(golden.metadata).pipe(
      Effect.mapError(
        ({ message }) =>
          new CheckpointError({ file: golden.file, reason: `its metadata: ${message.replace(/\s*\n\s*/g, " ")}` }),
      ),
    )
    const { seed, classes, time_steps: timeSteps, batch: batchSize, sample, width } = options
    const shape = channelsLast(sample)
    if (timeSteps * batchSize * size(shape) > 2 ** 24)
      return yield* refuse(golden, "its batch has more than 2²⁴ numbers")
    const graph = yield* graphOf(golden, shape, models[model](classes, { width, neuron }))
    const batch = { seed, update: 0, batchSize, classes, shape: sample }
    const frames = Float32Array.from(
      options.data === "events"
        ? Drawn.events(batch, timeSteps)
        : Array.from({ length: timeSteps }, () => [...Drawn.images(batch)]).flat(),
    )
    return {
      graph,
      timeSteps,
      batchSize,
      frames: valuesFromPyTorch(graph, Graph.inputName, frames),
      labels: Drawn.labels(batch),
      valuesOf: (parameter) => Effect.succeed(Drawn.parameter(seed, graph, parameter)),
    } satisfies Workload
  })

const lags: ReadonlySet<string> = new Set(["recurrent", "delay"])

/** The policy of a golden file's route. All other routes, such as `sltt-k`, are SLTT on some steps. */
const policyOf = (route: string | undefined, graph: Graph.Graph): Policy.Policy => {
  const edges = [...edgesOf(graph).all]
  if (route === "bptt") return Policy.bptt
  if (route === "detach-edges") return Policy.bptt.pipe(Policy.detach(...edges.filter((edge) => lags.has(edge))))
  if (route === "detach-states") return Policy.bptt.pipe(Policy.detach(...edges.filter((edge) => !lags.has(edge))))
  return Policy.sltt
}

/** Runs the batch of a golden file on a backend and compares the results. Fails with a CheckpointError if the file is invalid. */
export const verify = (
  { tensors, metadata }: TensorFile,
  file: string,
): Effect.Effect<
  GoldenErrors,
  CheckpointError | OptionError | PolicyError | ProgramError | UnsupportedKernelError | BackendError,
  Backend | Scope.Scope
> =>
  Effect.gen(function* () {
    const golden: Golden = { tensors, metadata, file }
    const { net, route } = metadata
    const model = modelNames.find((name) => name === net && networks[name] === undefined)
    const workload: Workload = yield* model === undefined ? stored(golden) : drawn(golden, model)
    const { graph, timeSteps, batchSize } = workload
    const { values: steps } = yield* tensor(golden, "steps")
    const classes = size(graph.types.get(graph.output)?.shape ?? [])
    const { values: out } = yield* tensor(golden, "out", timeSteps * batchSize * classes)
    const counts = (values: Float32Array, below: number) =>
      values.every((x) => Number.isInteger(x) && x >= 0 && x < below)
    if (steps.length === 0 || !counts(steps, timeSteps) || steps.some((step, i) => i > 0 && step <= steps[i - 1]!))
      return yield* refuse(golden, `its steps are not some of 0 … ${timeSteps - 1}, in order`)
    const chosen = custom(
      "golden",
      () => steps.length,
      () => Effect.succeed([...steps]),
    )
    const policy = policyOf(route, graph).pipe(Policy.trainOn(chosen))
    const neurons = spikingLayers(graph).map(({ name }) => name)
    const program = yield* compile(graph, policy, {
      batchSize,
      timeSteps,
      encoding: "frames",
      loss: yield* lossOf(golden),
      optimizer: Optimizer.sgd(),
      observe: [...neurons, graph.output],
    })
    const { told = [] } = yield* Effect.mapError(
      checkBatch(program, { inputs: workload.frames, ...workload }),
      ({ message }) => new CheckpointError({ file, reason: message }),
    )
    const backend = yield* Backend
    const executable = yield* backend.prepare(program)
    for (const parameter of graph.parameters)
      yield* executable.write(bufferNames.parameter(parameter.name), yield* workload.valuesOf(parameter))
    yield* upload(executable, { inputs: workload.frames, told })

    /** Number of spikes of the i-th layer at step t that differ from the golden ones, individually or in total. */
    const mismatches = (i: number, name: string, t: number, spikes: Float32Array) =>
      Effect.gen(function* () {
        if (model !== undefined) {
          const { values: counts } = yield* tensor(golden, "counts", neurons.length * timeSteps)
          return Math.abs(spikes.reduce((sum, spike) => sum + spike, 0) - counts[i * timeSteps + t]!)
        }
        const { values } = yield* tensor(golden, `spikes.${i}`, timeSteps * spikes.length)
        const at = values.subarray(t * spikes.length, (t + 1) * spikes.length)
        const theirs = valuesFromPyTorch(graph, name, at)
        return spikes.filter((spike, k) => spike !== theirs[k]).length
      })

    const outDeviation = new Deviation()
    let spikesMismatched = 0
    for (const call of schedule(program, [...steps])) {
      if (call.segment === "update") continue
      yield* executable.run([call], workload.frames)
      if (!forwardSegments.has(call.segment)) continue
      const read = yield* executable.read(bufferNames.value(graph.output), call.t)
      const theirs = out.subarray(call.t * read.length, (call.t + 1) * read.length)
      outDeviation.add(valuesFromPyTorch(graph, graph.output, theirs), read)
      for (const [i, name] of neurons.entries()) {
        const spikes = yield* executable.read(bufferNames.value(name), call.t)
        spikesMismatched += yield* mismatches(i, name, call.t, spikes)
      }
    }
    const gradients = new Deviation()
    const summaries = new Deviation()
    const statistics = new Deviation()
    for (const parameter of graph.parameters) {
      const { role, name } = parameter
      const { values: theirs } = yield* tensor(golden, `${role === "weight" ? "grad" : "after"}.${name}`)
      const buffer = role === "weight" ? bufferNames.gradient(name) : bufferNames.parameter(name)
      const ours = toPyTorch(graph, parameter, yield* executable.read(buffer))
      if (theirs.length === 0 || theirs.length > ours.length || (model === undefined && theirs.length < ours.length))
        return yield* refuse(golden, `of ${name} it has ${theirs.length} numbers, here are ${ours.length}`)
      ;(role === "weight" ? gradients : statistics).add(theirs, Drawn.sample(ours, theirs.length))
      if (model !== undefined && role === "weight") {
        const { values: summary } = yield* tensor(golden, `summary.${name}`, 4)
        summaries.add(summary, Drawn.summary(Number(metadata.seed), name, ours))
      }
    }
    return {
      out: outDeviation.relative,
      gradients: Math.max(gradients.relative, summaries.relative),
      statistics: statistics.relative,
      spikesMismatched,
    }
  })
