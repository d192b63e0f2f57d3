/**
 * Arbitrary networks, batches and policies, for property tests with fast-check.
 *
 * Everything is generated as plain data, so that a counterexample can be read and shrinks well, and is built from that data by
 * `graphOf`, `policyOf`, `parametersOf`, `batchOf` and `keysOf`. Any data builds: a piece adapts to the value that it is applied
 * to (a window shrinks to what fits, a convolution of a row of features is a linear layer), so nothing is ever discarded on
 * the way. Networks are tiny: a run takes milliseconds.
 *
 * A spike is a jump: where a membrane lies within rounding of its threshold, two right implementations may differ by a whole
 * spike. A test that compares across implementations leaves out the workloads whose {@link margin} is too small:
 *
 * @example
 * fc.assert(
 *   fc.asyncProperty(Arbitrary.workload(), async (workload) => {
 *     fc.pre((await run(Arbitrary.margin(workload))) > 1e-3)
 *     …
 *   }),
 * )
 */
import { Effect, type Scope } from "effect"
import * as fc from "fast-check"
import { Backend } from "../backend/backend.ts"
import type { BackendError, PolicyError, ProgramError, UnsupportedKernelError } from "../errors.ts"
import * as Graph from "../graph/index.ts"
import {
  adaptiveAveragePool,
  add,
  averagePool,
  batchNorm,
  conv2d,
  dropout,
  type FiringOptions,
  flatten,
  gain,
  integrateAndFire,
  leakyReadout,
  lif,
  linear,
  maxPool,
  plif,
  scale,
  scaledWeightStandardizedConv2d,
} from "../layers.ts"
import type { Loss } from "../loss.ts"
import { forEachInWindow, slidingRange } from "../ops/pixels.ts"
import * as Optimizer from "../optimizers/index.ts"
import * as Policy from "../policies/policy.ts"
import * as Steps from "../policies/steps.ts"
import { bufferNames, compile, type Encoding, schedule, type TrainingOptions } from "../program/index.ts"
import * as Key from "../random.ts"
import { size } from "../shape.ts"
import type { SurrogateOptions } from "../surrogates/index.ts"

// --- networks

/** A layer of spiking neurons. `tau` is not used by integrate-and-fire neurons. */
export interface Neuron {
  readonly piece: "lif" | "if" | "plif"
  readonly tau: number
  readonly threshold: number
  readonly reset: "soft" | "hard" | "none"
  readonly surrogate: SurrogateOptions
}

interface Window {
  readonly kernelSize: number
  readonly stride: number
  readonly padding: number
}

/** Part of a network. */
export type Piece =
  | Neuron
  | (Window & {
      readonly piece: "conv"
      readonly channels: number
      readonly bias: boolean
      readonly standardized: boolean
    })
  | (Window & { readonly piece: "averagePool" | "maxPool" })
  | { readonly piece: "adaptiveAveragePool"; readonly outputSize: number }
  | { readonly piece: "batchNorm" | "gain" | "flatten" }
  | { readonly piece: "scale"; readonly factor: number }
  | { readonly piece: "dropout"; readonly rate: number }
  | { readonly piece: "leakyReadout"; readonly tau: number }
  /** The body keeps the shape; with a stride or other channels, a convolution comes before it and another on the shortcut. */
  | {
      readonly piece: "residual"
      readonly channels: number
      readonly stride: number
      readonly body: ReadonlyArray<Piece>
    }

/** The read-out: a linear layer, behind which there may be more; or the flattened value itself. */
export interface ReadOut {
  readonly classes: number | "flattened"
  readonly behind: ReadonlyArray<Piece>
}

/** A network and a batch to train it on. */
export interface Workload {
  /** One sample: [height, width, channels] or [features]. */
  readonly input: ReadonlyArray<number>
  readonly pieces: ReadonlyArray<Piece>
  readonly readOut: ReadOut
  readonly batchSize: number
  readonly timeSteps: number
  readonly encoding: Encoding
  readonly loss: Loss
  /** Of parameters, data, labels, dropout masks and drawn steps. */
  readonly seed: number
}

/** Every surrogate, with widths of the order of the threshold. */
export const surrogate = (): fc.Arbitrary<SurrogateOptions> =>
  fc.oneof(
    fc.record({ name: fc.constant("triangle" as const), alpha: fc.constantFrom(1, 0.5) }),
    fc.record({ name: fc.constant("rectangle" as const), width: fc.constantFrom(1, 2) }),
    fc.record({ name: fc.constant("sigmoid" as const), alpha: fc.constantFrom(1, 4) }),
    fc.record({ name: fc.constant("atan" as const), alpha: fc.constantFrom(1, 2) }),
    fc.record({ name: fc.constant("fastSigmoid" as const), alpha: fc.constantFrom(1, 5, 25) }),
  )

/** Every kind of spiking neuron. τ = 1 is a decay of 0; it is left out for neurons that learn it. */
export const neuron = (): fc.Arbitrary<Neuron> =>
  fc
    .record({
      piece: fc.constantFrom("lif", "if", "plif"),
      tau: fc.constantFrom(2, 1, 1.1, 1.5, 4),
      threshold: fc.constantFrom(1, 0.5),
      reset: fc.constantFrom("soft", "hard", "none"),
      surrogate: surrogate(),
    })
    .map((made) => (made.piece === "plif" ? { ...made, tau: Math.max(made.tau, 1.1) } : made))

const window = (maxKernel: number): { readonly [K in keyof Window]: fc.Arbitrary<number> } => ({
  kernelSize: fc.integer({ min: 1, max: maxKernel }),
  stride: fc.integer({ min: 1, max: 2 }),
  padding: fc.integer({ min: 0, max: 1 }),
})

const synapse = (): fc.Arbitrary<Piece> =>
  fc.record({
    piece: fc.constant("conv" as const),
    channels: fc.integer({ min: 1, max: 4 }),
    bias: fc.boolean(),
    standardized: fc.boolean(),
    ...window(3),
  })

const simple = (): fc.Arbitrary<Piece> =>
  fc.oneof(
    fc.constant({ piece: "batchNorm" as const }),
    fc.constant({ piece: "gain" as const }),
    fc.record({ piece: fc.constant("scale" as const), factor: fc.constantFrom(0.5, 1.5, -1) }),
    fc.record({ piece: fc.constant("dropout" as const), rate: fc.constantFrom(0, 0.25, 0.5) }),
    fc.record({ piece: fc.constantFrom("averagePool" as const, "maxPool" as const), ...window(3) }),
    fc.record({ piece: fc.constantFrom("maxPool" as const), ...window(2) }),
    fc.record({ piece: fc.constant("leakyReadout" as const), tau: fc.constantFrom(1, 2, 4) }),
    fc.record({ piece: fc.constant("adaptiveAveragePool" as const), outputSize: fc.integer({ min: 1, max: 3 }) }),
    fc.constant({ piece: "flatten" as const }),
  )

/** A synapse and its neurons, with or without something between and behind. */
const stage = (): fc.Arbitrary<ReadonlyArray<Piece>> =>
  fc
    .tuple(synapse(), fc.array(simple(), { maxLength: 1 }), neuron(), fc.array(simple(), { maxLength: 1 }))
    .map(([synapse, between, neuron, behind]) => [synapse, ...between, neuron, ...behind])

const pieces = (depth: number, maxLength: number): fc.Arbitrary<ReadonlyArray<Piece>> => {
  const residual: fc.Arbitrary<Piece> = fc.record({
    piece: fc.constant("residual" as const),
    channels: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 2 }),
    body: depth === 0 ? fc.constant([]) : pieces(depth - 1, 2),
  })
  const list = (piece: fc.Arbitrary<Piece>) => piece.map((only): ReadonlyArray<Piece> => [only])
  return fc
    .array(
      fc.oneof(
        { weight: 5, arbitrary: stage() },
        { weight: 1, arbitrary: list(simple()) },
        { weight: 1, arbitrary: list(neuron()) },
        ...(depth === 0 ? [] : [{ weight: 3, arbitrary: list(residual) }]),
      ),
      { maxLength },
    )
    .map((lists) => lists.flat())
}

const readOut = (): fc.Arbitrary<ReadOut> =>
  fc.record({
    classes: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }) },
      { weight: 1, arbitrary: fc.constant("flattened" as const) },
    ),
    behind: fc
      .oneof(
        { weight: 6, arbitrary: fc.constant([]) },
        {
          weight: 2,
          arbitrary: fc.record({ piece: fc.constant("leakyReadout" as const), tau: fc.constantFrom(1, 2, 4) }),
        },
        { weight: 1, arbitrary: fc.oneof(simple(), neuron()) },
      )
      .map((behind) => [behind].flat()),
  })

/** A tiny network with a batch for it. */
export const workload = ({ maxTimeSteps = 5, maxBatchSize = 3 } = {}): fc.Arbitrary<Workload> =>
  fc.record({
    input: fc.oneof(
      {
        weight: 3,
        arbitrary: fc.tuple(
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 1, max: 3 }),
        ),
      },
      { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 6 })) },
    ),
    pieces: pieces(2, 3),
    readOut: readOut(),
    batchSize: fc.integer({ min: 1, max: maxBatchSize }),
    timeSteps: fc.integer({ min: 1, max: maxTimeSteps }),
    encoding: fc.constantFrom("static", "frames"),
    loss: fc.record({ mix: fc.constantFrom(0.05, 0, 0.5, 1), target: fc.constantFrom("ones", "one-hot") }),
    seed: fc.nat(),
  })

/** The largest window that fits an image of this shape. */
const fit = (shape: ReadonlyArray<number>, { kernelSize, stride, padding }: Window): Window => ({
  kernelSize: Math.min(kernelSize, Math.min(shape[0]!, shape[1]!) + 2 * padding),
  stride,
  padding,
})

/** A window whose slides keep the extents. */
const same = (kernelSize: number): Window => ({
  kernelSize: kernelSize === 1 ? 1 : 3,
  stride: 1,
  padding: kernelSize === 1 ? 0 : 1,
})

interface Building {
  /** Neurons fire the surrogate's primitive in place of the step. */
  readonly smooth: boolean
  /** The value's shape must stay as it is. */
  readonly keepShape: boolean
}

const apply = (x: Graph.Tensor, piece: Piece, building: Building): Graph.Tensor => {
  const { keepShape, smooth } = building
  const image = x.shape.length === 3
  switch (piece.piece) {
    case "lif":
    case "if":
    case "plif": {
      const { tau, threshold, reset, surrogate } = piece
      const firing: FiringOptions = { threshold, reset, surrogate, smooth }
      if (piece.piece === "if") return x.pipe(integrateAndFire(firing))
      return x.pipe(piece.piece === "lif" ? lif({ ...firing, tau }) : plif({ ...firing, tau }))
    }
    case "conv": {
      const { bias, standardized } = piece
      const channels = keepShape ? x.shape.at(-1)! : piece.channels
      if (!image) return x.pipe(linear({ features: channels, bias }))
      const options = { channels, bias, ...(keepShape ? same(piece.kernelSize) : fit(x.shape, piece)) }
      return x.pipe(standardized ? scaledWeightStandardizedConv2d(options) : conv2d(options))
    }
    case "averagePool":
    case "maxPool": {
      if (!image) return x
      const padding = piece.kernelSize === 1 ? 0 : piece.padding
      const options = keepShape ? same(piece.kernelSize) : fit(x.shape, { ...piece, padding })
      return x.pipe(piece.piece === "maxPool" ? maxPool(options) : averagePool(options))
    }
    case "adaptiveAveragePool":
      return image && !keepShape ? x.pipe(adaptiveAveragePool({ outputSize: piece.outputSize })) : x
    case "batchNorm":
      return x.pipe(batchNorm())
    case "gain":
      return x.pipe(gain())
    case "flatten":
      return image && !keepShape ? x.pipe(flatten()) : x
    case "scale":
      return x.pipe(scale(piece.factor))
    case "dropout":
      return x.pipe(dropout(piece.rate))
    case "leakyReadout":
      return x.pipe(leakyReadout({ tau: piece.tau }))
    case "residual": {
      const channels = keepShape ? x.shape.at(-1)! : piece.channels
      const stride = keepShape || !image ? 1 : piece.stride
      const reshaped = stride !== 1 || channels !== x.shape.at(-1)
      const map = (window: Window) => (image ? conv2d({ channels, ...window }) : linear({ features: channels }))
      const first = reshaped ? x.pipe(map({ ...same(3), stride })) : x
      const body = piece.body.reduce((h, each) => apply(h, each, { ...building, keepShape: true }), first)
      return add(body, reshaped ? x.pipe(map({ ...same(1), stride })) : x)
    }
    default:
      return piece satisfies never
  }
}

/** The network of a workload. */
export const graphOf = (
  { input, pieces, readOut }: Workload,
  { smooth = false }: { readonly smooth?: boolean } = {},
): Graph.Graph =>
  Graph.makeUnsafe(input, (x) => {
    const hidden = pieces.reduce((h, piece) => apply(h, piece, { smooth, keepShape: false }), x)
    const flat = hidden.shape.length === 3 ? hidden.pipe(flatten()) : hidden
    const out =
      readOut.classes !== "flattened"
        ? flat.pipe(linear({ features: readOut.classes }))
        : flat.name === x.name || hidden.name === x.name
          ? flat.pipe(scale(1))
          : flat
    return readOut.behind.reduce((h, piece) => apply(h, piece, { smooth, keepShape: true }), out)
  })

// --- numbers

const between = (key: Key.Key, count: number, low: number, high: number): Float32Array =>
  Key.uniform(key, new Float32Array(count)).map((u) => low + (high - low) * u)

/** Values of every parameter and statistic by name, such that most layers fire, some of the time. */
export const parametersOf = (
  graph: Graph.Graph,
  { seed }: Pick<Workload, "seed">,
): ReadonlyMap<string, Float32Array> => {
  const root = Key.fold(Key.make(seed), "parameters")
  return new Map(
    graph.parameters.map(({ name, shape, initializer }) => {
      const key = Key.fold(root, name)
      const count = size(shape)
      const range = (low: number, high: number) => [name, between(key, count, low, high)] as const
      if (name.endsWith("running_mean")) return range(-0.5, 0.5)
      if (shape.length >= 2) {
        const bound = 3 / Math.sqrt(count / shape.at(-1)!)
        return range(-0.4 * bound, bound)
      }
      // A gain, a batch norm's weight or running variance start at 1, a bias around 0, a learnt decay's logit where τ says.
      if (initializer.kind === "constant" && initializer.value === 1) return range(0.5, 1.5)
      if (name.endsWith(".w")) return range(-1, 1)
      return range(-0.25, 0.75)
    }),
  )
}

/** Data and labels of a batch: inputs [N, …], or [T, N, …] with frames. */
export const batchOf = (
  graph: Graph.Graph,
  { seed, batchSize, timeSteps, encoding }: Workload,
): { readonly inputs: Float32Array; readonly labels: Float32Array } => {
  const key = Key.fold(Key.make(seed), "batch")
  const samples = batchSize * (encoding === "frames" ? timeSteps : 1)
  const classes = graph.types.get(graph.output)?.shape[0] as number
  return {
    inputs: between(Key.fold(key, "inputs"), samples * size(graph.input), -0.5, 1.5),
    labels: between(Key.fold(key, "labels"), batchSize, 0, classes).map((label) =>
      Math.min(Math.floor(label), classes - 1),
    ),
  }
}

/** The random key of a node: what the buffer `key/<node>` holds. */
export const keyOf = (node: string, { seed }: Pick<Workload, "seed">): Key.Key => Key.fold(Key.make(seed), "key", node)

/** How to compile a workload for training. */
export const optionsOf = ({ batchSize, timeSteps, encoding, loss }: Workload): TrainingOptions => ({
  batchSize,
  timeSteps,
  encoding,
  loss,
  optimizer: Optimizer.options("sgd"),
})

// --- policies

/** A policy as data; numbers of steps count modulo the workload's time steps. */
export interface Choice {
  readonly detached: ReadonlyArray<Policy.Edge>
  /** 0 for no truncation. */
  readonly window: number
  readonly steps: { readonly name: "all" | "last" | "every" | "sample"; readonly k: number }
}

/** A policy: any edges detached, any window, any trained steps. */
export const policy = (): fc.Arbitrary<Choice> =>
  fc.record({
    detached: fc.subarray(["membrane", "reset"] as ReadonlyArray<Policy.Edge> as Array<Policy.Edge>),
    window: fc.nat({ max: 4 }),
    steps: fc.record({ name: fc.constantFrom("all", "last", "every", "sample"), k: fc.nat({ max: 4 }) }),
  })

/** The policy of a choice, for so many time steps. */
export const policyOf = ({ detached, window, steps }: Choice, timeSteps: number): Policy.Policy => {
  const k = 1 + (steps.k % timeSteps)
  const trained = { all: Steps.all, last: Steps.last(k), every: Steps.every(k), sample: Steps.sample(k) }[steps.name]
  const routed = Policy.bptt.pipe(Policy.detach(...detached), Policy.trainOn(trained))
  return window === 0 ? routed : routed.pipe(Policy.truncate(window))
}

// --- margins

/**
 * How far a workload stays from jumps, on the backend at hand: the smallest distance of a membrane from its threshold and from the
 * edge of a rectangle surrogate, of a max pool's choice from the next smaller value, and a five-hundredth of the smallest deviation
 * of a channel, as batch norm divides rounding by it. Channels that do not vary at all, and values that are the same, do no harm.
 */
export const margin = (
  workload: Workload,
): Effect.Effect<number, PolicyError | ProgramError | UnsupportedKernelError | BackendError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const graph = graphOf(workload)
    const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
    /** The value whose memory the first input of a node is. */
    const source = ({ inputs: [name = ""] }: Graph.Node): string => {
      const node = nodes.get(name)
      return node?.op === "flatten" ? source(node) : name
    }
    const neurons = graph.nodes.filter(({ op }) => op === "neuron")
    const watched = graph.nodes.filter(({ op }) => op === "maxPool" || op === "batchNorm")
    const observe = watched.map(source).filter((name) => name !== Graph.inputName)
    const program = yield* compile(graph, Policy.sltt, { ...optionsOf(workload), observe })
    const executable = yield* (yield* Backend).prepare(program)
    const { inputs, labels } = batchOf(graph, workload)
    for (const [name, values] of parametersOf(graph, workload))
      yield* executable.write(bufferNames.parameter(name), values)
    for (const { name, elements } of program.buffers) {
      const { hi, lo } = keyOf(name.slice("key/".length), workload)
      if (elements === "words") yield* executable.write(name, Uint32Array.of(hi, lo))
    }
    yield* executable.write(bufferNames.labels, labels)
    const frames = workload.encoding === "frames" ? inputs : undefined
    if (frames === undefined) yield* executable.write(bufferNames.input, inputs)

    let least = Number.POSITIVE_INFINITY
    const every = Array.from({ length: workload.timeSteps }, (_, t) => t)
    for (const call of schedule(program, every)) {
      if (call.segment === "end") break
      yield* executable.run([call], frames)
      if (call.segment === "begin") continue
      for (const { name, attributes } of neurons) {
        const { threshold, surrogate } = attributes as unknown as Neuron
        for (const u of yield* executable.read(bufferNames.state(name), call.t)) {
          const z = Math.abs(u - threshold)
          least = Math.min(least, z)
          if (surrogate.name === "rectangle") least = Math.min(least, Math.abs(z - surrogate.width / 2))
        }
      }
      for (const node of watched) {
        const name = source(node)
        const buffer = name === Graph.inputName ? bufferNames.input : bufferNames.value(name)
        const values = yield* executable.read(buffer, call.t)
        const [from, to] = [node.inputs[0] as string, node.name].map((value) => [
          workload.batchSize,
          ...(graph.types.get(value)?.shape ?? []),
        ]) as [Array<number>, Array<number>]
        least = Math.min(
          least,
          node.op === "maxPool"
            ? leastGap(values, from, to, node.attributes as unknown as Window)
            : leastDeviation(values, to.at(-1) as number) / 500,
        )
      }
    }
    return least
  })

/** Between the largest value of a window and any smaller one in it. */
const leastGap = (
  values: Float32Array,
  from: ReadonlyArray<number>,
  to: ReadonlyArray<number>,
  window: Window,
): number => {
  const windows = Array.from({ length: size(to) }, (): Array<number> => [])
  forEachInWindow(from, to, slidingRange(window), (i, o) => windows[o]!.push(values[i]!))
  return Math.min(...windows.flatMap((own) => own.map((value) => Math.max(...own) - value)).filter((gap) => gap > 0))
}

/** Of the channels that vary. */
const leastDeviation = (values: Float32Array, channels: number): number => {
  const deviations = Array.from({ length: channels }, (_, c) => {
    const own = [...values].filter((_, i) => i % channels === c)
    const mean = own.reduce((sum, value) => sum + value, 0) / own.length
    return Math.sqrt(own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / own.length)
  })
  return Math.min(...deviations.filter((deviation) => deviation > 1e-7))
}
