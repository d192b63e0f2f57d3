import * as fc from "fast-check"
import type { Per } from "../../expressions/layer.ts"
import type { Loss } from "../../loss.ts"
import type { Encoding } from "../../program/index.ts"
import type { SurrogateOptions } from "../../surrogates/index.ts"
import { type Cell, cell } from "./cell.ts"
import { surrogate } from "./surrogate.ts"

/** A layer of spiking neurons. `tau` is not used by integrate-and-fire neurons. */
export interface Neuron {
  readonly piece: "lif" | "if" | "plif"
  readonly tau: number
  readonly threshold: number
  readonly reset: "soft" | "hard" | "none"
  readonly surrogate: SurrogateOptions
}

/** Neurons with two states; the decay of the membrane may be learnt. */
export interface TwoStates {
  readonly piece: "adaptiveLif" | "currentBasedLif"
  readonly decay: number
  /** Of the other state. */
  readonly otherDecay: number
  readonly learnt: Per | "fixed"
  readonly threshold: number
  readonly surrogate: SurrogateOptions
}

/** Temporal edges; `edge` is their name. */
export type Temporal =
  /** With several numbers of steps, each channel has its own. */
  | { readonly piece: "delay"; readonly steps: number | ReadonlyArray<number>; readonly edge: string }
  /** What the body gives is fed back to it, through a map or not. The body keeps the shape. */
  | {
      readonly piece: "recurrent"
      readonly steps: number
      readonly edge: string
      readonly mapped: boolean
      readonly body: ReadonlyArray<Piece>
    }

/** Of a sequence the last numbers count. */
export interface Window {
  readonly kernelSize: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly padding: number
  readonly dilation: number
}

/** Part of a network. */
export type Piece =
  | Neuron
  | TwoStates
  | Cell
  | Temporal
  | (Window & {
      readonly piece: "conv"
      readonly channels: number
      readonly bias: boolean
      readonly standardized: boolean
      /** As many groups as divide the channels: one, two or all of them. */
      readonly groups: "one" | "two" | "all"
      readonly transposed: boolean
    })
  | (Window & { readonly piece: "averagePool" | "sumPool" | "maxPool" })
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
  /** One sample: [height, width, channels], [length, channels] or [features]. */
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

const twoStates = (): fc.Arbitrary<TwoStates> =>
  fc.record({
    piece: fc.constantFrom("adaptiveLif", "currentBasedLif"),
    decay: fc.constantFrom(0.5, 0.9, 0, 1),
    otherDecay: fc.constantFrom(0.75, 0, 0.5),
    learnt: fc.constantFrom("fixed", "layer", "channel", "element"),
    threshold: fc.constantFrom(1, 0.5),
    surrogate: surrogate(),
  })

const edge = fc.constantFrom("delay", "recurrent", "own")

const delay = (): fc.Arbitrary<Piece> =>
  fc.record({
    piece: fc.constant("delay" as const),
    steps: fc.oneof(
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }),
    ),
    edge,
  })

/** Mostly square. */
const extents = (most: number): fc.Arbitrary<readonly [number, number]> => {
  const extent = fc.integer({ min: 1, max: most })
  return fc.oneof(
    { weight: 2, arbitrary: extent.map((both) => [both, both] as const) },
    { weight: 1, arbitrary: fc.tuple(extent, extent) },
  )
}

const window = (maxKernel: number): { readonly [K in keyof Window]: fc.Arbitrary<Window[K]> } => ({
  kernelSize: extents(maxKernel),
  stride: extents(2),
  padding: fc.integer({ min: 0, max: 1 }),
  dilation: fc.constantFrom(1, 1, 2),
})

const synapse = (): fc.Arbitrary<Piece> =>
  fc.record({
    piece: fc.constant("conv" as const),
    channels: fc.integer({ min: 1, max: 4 }),
    bias: fc.boolean(),
    standardized: fc.boolean(),
    groups: fc.constantFrom("one", "one", "two", "all"),
    transposed: fc.constantFrom(false, false, false, true),
    ...window(3),
  })

const simple = (): fc.Arbitrary<Piece> =>
  fc.oneof(
    fc.constant({ piece: "batchNorm" as const }),
    fc.constant({ piece: "gain" as const }),
    fc.record({ piece: fc.constant("scale" as const), factor: fc.constantFrom(0.5, 1.5, -1) }),
    fc.record({ piece: fc.constant("dropout" as const), rate: fc.constantFrom(0, 0.25, 0.5) }),
    fc.record({ piece: fc.constantFrom("averagePool" as const, "sumPool" as const, "maxPool" as const), ...window(3) }),
    fc.record({ piece: fc.constantFrom("maxPool" as const), ...window(2) }),
    fc.constantFrom(1, 2).map((size) => ({
      piece: "averagePool" as const,
      kernelSize: [size, size] as const,
      stride: [size, size] as const,
      padding: 0,
      dilation: 1,
    })),
    fc.record({ piece: fc.constant("leakyReadout" as const), tau: fc.constantFrom(1, 2, 4) }),
    fc.record({ piece: fc.constant("adaptiveAveragePool" as const), outputSize: fc.integer({ min: 1, max: 3 }) }),
    fc.constant({ piece: "flatten" as const }),
    delay(),
    cell(),
  )

const firing = (): fc.Arbitrary<Piece> =>
  fc.oneof({ weight: 4, arbitrary: neuron() }, { weight: 1, arbitrary: twoStates() }, { weight: 1, arbitrary: cell() })

/** A synapse and its neurons, with or without something between and behind. */
const stage = (): fc.Arbitrary<ReadonlyArray<Piece>> =>
  fc
    .tuple(synapse(), fc.array(simple(), { maxLength: 1 }), firing(), fc.array(simple(), { maxLength: 1 }))
    .map(([synapse, between, neuron, behind]) => [synapse, ...between, neuron, ...behind])

const pieces = (depth: number, maxLength: number): fc.Arbitrary<ReadonlyArray<Piece>> => {
  const residual: fc.Arbitrary<Piece> = fc.record({
    piece: fc.constant("residual" as const),
    channels: fc.integer({ min: 1, max: 4 }),
    stride: fc.integer({ min: 1, max: 2 }),
    body: depth === 0 ? fc.constant([]) : pieces(depth - 1, 2),
  })
  const recurrent: fc.Arbitrary<Piece> = fc
    .record({
      piece: fc.constant("recurrent" as const),
      steps: fc.constantFrom(1, 1, 2),
      edge,
      mapped: fc.boolean(),
      body: depth === 0 ? fc.constant([]) : pieces(depth - 1, 1),
      neuron: firing(),
      behind: fc.array(delay(), { maxLength: 1 }),
    })
    .map(({ neuron, behind, ...made }) => ({ ...made, body: [...made.body, neuron, ...behind] }))
  const list = (piece: fc.Arbitrary<Piece>) => piece.map((only): ReadonlyArray<Piece> => [only])
  return fc
    .array(
      fc.oneof(
        { weight: 5, arbitrary: stage() },
        { weight: 1, arbitrary: list(simple()) },
        { weight: 1, arbitrary: list(firing()) },
        ...(depth === 0 ? [] : [{ weight: 3, arbitrary: list(fc.oneof(residual, recurrent)) }]),
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
        { weight: 1, arbitrary: fc.oneof(simple(), firing()) },
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
      { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 4 })) },
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
