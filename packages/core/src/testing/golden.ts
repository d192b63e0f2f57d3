/**
 * Golden files: what PyTorch computed in float64 for one batch of a small network under one policy.
 *
 * A file holds, in PyTorch's layouts: `param.<name>`, `input` [T, N, …], `label` [N], `steps` (the trained steps, from 0), and
 * PyTorch's results `out` [T, N, classes], `spikes.<i>` [T, N, …] of the i-th layer of neurons, `grad.<name>` and, for running
 * statistics after the batch, `after.<name>`. Its metadata name the network, τ, the surrogate, the route and the loss.
 */
import { Effect, type Scope } from "effect"
import { Backend } from "../backend/backend.ts"
import {
  type BackendError,
  CheckpointError,
  type PolicyError,
  type ProgramError,
  type UnsupportedKernelError,
} from "../errors.ts"
import * as Graph from "../graph/index.ts"
import { fromPyTorch, imagesFromPyTorch } from "../interop/pytorch.ts"
import type { StoredTensor, TensorFile } from "../interop/safetensors.ts"
import {
  adaptiveAveragePool,
  add,
  averagePool,
  batchNorm,
  conv2d,
  flatten,
  gain,
  type LifOptions,
  lif,
  linear,
  scale,
  scaledWeightStandardizedConv2d,
} from "../layers.ts"
import * as Optimizer from "../optimizers/index.ts"
import * as Policy from "../policies/policy.ts"
import { custom } from "../policies/steps.ts"
import { bufferNames, compile, forwardSegments, schedule } from "../program/index.ts"
import * as Surrogate from "../surrogates/index.ts"

/** A pre-activation residual block; the identity shortcut carries the activated input. */
const preActivation = (neuron: LifOptions, channels: number, stride: number): Graph.Layer =>
  Graph.block((x) => {
    const reshapes = stride !== 1 || x.shape.at(-1) !== channels
    const a = x.pipe(Graph.named("bn1", batchNorm()), Graph.named("lif1", lif(neuron)))
    const body = a.pipe(
      Graph.named("conv1", conv2d({ channels, kernelSize: 3, stride, padding: 1 })),
      Graph.named("bn2", batchNorm()),
      Graph.named("lif2", lif(neuron)),
      Graph.named("conv2", conv2d({ channels, kernelSize: 3, padding: 1 })),
    )
    return add(body, reshapes ? a.pipe(Graph.named("shortcut", conv2d({ channels, kernelSize: 1, stride }))) : a)
  })

/** A block of a normaliser-free ResNet. */
const normalizerFree = (neuron: LifOptions, channels: number, stride: number, beta: number): Graph.Layer =>
  Graph.block((x) => {
    const reshapes = stride !== 1 || x.shape.at(-1) !== channels
    const convolution = (kernelSize: number, step: number) =>
      scaledWeightStandardizedConv2d({ channels, kernelSize, stride: step, padding: (kernelSize - 1) / 2 })
    const a = x.pipe(scale(1 / beta), Graph.named("lif1", lif(neuron)), scale(2.74))
    const body = a.pipe(
      Graph.named("conv1", convolution(3, stride)),
      Graph.named("lif2", lif(neuron)),
      scale(2.74),
      Graph.named("conv2", convolution(3, 1)),
      gain({ parameter: "skipinit_gain" }),
      scale(0.2),
    )
    return add(body, reshapes ? a.pipe(Graph.named("downsample", convolution(1, stride))) : x)
  })

/** The networks of the golden files. */
const networks: Readonly<Record<string, (neuron: LifOptions) => Graph.Layer>> = {
  mlp: (neuron) =>
    Graph.sequential(
      linear({ features: 16 }),
      lif(neuron),
      linear({ features: 16 }),
      lif(neuron),
      linear({ features: 4 }),
    ),
  conv: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 8, kernelSize: 3, padding: 1 }),
      batchNorm(),
      lif(neuron),
      averagePool({ kernelSize: 2 }),
      conv2d({ channels: 12, kernelSize: 3, stride: 2, padding: 1 }),
      batchNorm(),
      lif(neuron),
      flatten(),
      linear({ features: 5 }),
    ),
  resnet: (neuron) =>
    Graph.sequential(
      conv2d({ channels: 6, kernelSize: 3, padding: 1, bias: false }),
      preActivation(neuron, 6, 1),
      preActivation(neuron, 9, 2),
      batchNorm(),
      lif(neuron),
      averagePool({ kernelSize: 3 }),
      flatten(),
      linear({ features: 3 }),
    ),
  nf: (neuron) =>
    Graph.sequential(
      scaledWeightStandardizedConv2d({ channels: 6, kernelSize: 3, padding: 1 }),
      averagePool({ kernelSize: 3, stride: 2, padding: 1 }),
      normalizerFree(neuron, 6, 1, 1),
      normalizerFree(neuron, 8, 2, Math.sqrt(1.04)),
      adaptiveAveragePool({ outputSize: 1 }),
      flatten(),
      linear({ features: 3 }),
    ),
}

/** How far a backend is from a golden file: the largest absolute difference over the largest absolute golden value, by kind. */
export interface GoldenErrors {
  readonly out: number
  readonly gradients: number
  /** 0 where the network keeps no running statistics. */
  readonly statistics: number
  readonly spikesMismatched: number
}

/** Whether errors are within what float32 may differ. */
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

/** Runs the batch of a golden file on a backend and compares. */
export const verify = (
  golden: TensorFile,
  file: string,
): Effect.Effect<
  GoldenErrors,
  CheckpointError | PolicyError | ProgramError | UnsupportedKernelError | BackendError,
  Backend | Scope.Scope
> =>
  Effect.gen(function* () {
    const { net = "", tau, surrogate, route, loss_lambda: mix } = golden.metadata
    const fail = (reason: string) => new CheckpointError({ file, reason })
    const tensor = (name: string): Effect.Effect<StoredTensor, CheckpointError> => {
      const found = golden.tensors.get(name)
      return found ? Effect.succeed(found) : Effect.fail(fail(`it has no tensor ${name}`))
    }
    const network = networks[net]
    if (network === undefined) return yield* fail(`no golden file: its network is ${net || "not named"}`)
    const surrogateOptions = Surrogate.defaults[surrogate as Surrogate.SurrogateName]
    if (surrogateOptions === undefined) return yield* fail(`its surrogate is ${surrogate}`)

    const input = yield* tensor("input")
    const label = yield* tensor("label")
    const { values: steps } = yield* tensor("steps")
    const { values: out } = yield* tensor("out")
    const [timeSteps, batchSize, ...sample] = input.shape as [number, number, ...Array<number>]
    const [channels, height, width] = sample
    const shape = sample.length === 3 ? [height!, width!, channels!] : sample
    const graph = Graph.makeUnsafe(shape, network({ tau: Number(tau), surrogate: surrogateOptions }))
    const images = (values: Float32Array, image: ReadonlyArray<number> | undefined) =>
      image?.length === 3 ? imagesFromPyTorch(values, image as unknown as readonly [number, number, number]) : values

    const drawn = custom(
      "golden",
      () => steps.length,
      () => Effect.succeed([...steps]),
    )
    const policy = (route === "bptt" ? Policy.bptt : Policy.sltt).pipe(Policy.trainOn(drawn))
    const neurons = graph.nodes.filter(({ op }) => op === "neuron").map(({ name }) => name)
    const program = yield* compile(graph, policy, {
      batchSize,
      timeSteps,
      encoding: "frames",
      loss: { mix: Number(mix), target: "ones" },
      optimizer: Optimizer.options("sgd"),
      observe: [...neurons, graph.output],
    })
    const backend = yield* Backend
    const executable = yield* backend.prepare(program)
    for (const parameter of graph.parameters) {
      const { values } = yield* tensor(`param.${parameter.name}`)
      yield* executable.write(bufferNames.parameter(parameter.name), fromPyTorch(graph, parameter, values))
    }
    yield* executable.write(bufferNames.labels, label.values)
    const frames = images(input.values, shape)

    const outDeviation = new Deviation()
    let spikesMismatched = 0
    for (const call of schedule(program, [...steps])) {
      if (call.segment === "update") continue
      yield* executable.run([call], frames)
      if (!forwardSegments.has(call.segment)) continue
      const read = yield* executable.read(bufferNames.value(graph.output), call.t)
      outDeviation.add(out.subarray(call.t * read.length, (call.t + 1) * read.length), read)
      for (const [i, name] of neurons.entries()) {
        const spikes = yield* executable.read(bufferNames.value(name), call.t)
        const stored = yield* tensor(`spikes.${i}`)
        const theirs = images(
          stored.values.subarray(call.t * spikes.length, (call.t + 1) * spikes.length),
          graph.types.get(name)?.shape,
        )
        for (let k = 0; k < spikes.length; k++) if (spikes[k] !== theirs[k]) spikesMismatched++
      }
    }
    const gradients = new Deviation()
    const statistics = new Deviation()
    for (const parameter of graph.parameters) {
      const { role, name } = parameter
      const theirs = yield* tensor(`${role === "weight" ? "grad" : "after"}.${name}`)
      const buffer = role === "weight" ? bufferNames.gradient(name) : bufferNames.parameter(name)
      const ours = yield* executable.read(buffer)
      ;(role === "weight" ? gradients : statistics).add(fromPyTorch(graph, parameter, theirs.values), ours)
    }
    return {
      out: outDeviation.relative,
      gradients: gradients.relative,
      statistics: statistics.relative,
      spikesMismatched,
    }
  })
