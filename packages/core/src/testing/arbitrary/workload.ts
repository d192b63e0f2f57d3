import * as fc from "fast-check"
import type { Per } from "../../expressions/layer.ts"
import type { Loss } from "../../loss.ts"
import type { Encoding } from "../../program/index.ts"
import type { SurrogateOptions } from "../../surrogates/index.ts"
import { type Cell, cell } from "./cell.ts"
import { surrogate } from "./surrogate.ts"

/** A layer of spiking neurons. Integrate-and-fire neurons ignore `tau`. */
export interface Neuron {
  readonly piece: "lif" | "if" | "plif"
  readonly tau: number
  readonly threshold: number
  readonly reset: "soft" | "hard" | "none"
  readonly surrogate: SurrogateOptions
}

/** Neurons with two states. The decay of the membrane may be trained. */
export interface TwoStates {
  readonly piece: "adaptiveLif" | "currentBasedLif"
  readonly decay: number
  /** Decay of the other state. */
  readonly otherDecay: number
  readonly learnt: Per | "fixed"
  readonly threshold: number
  readonly surrogate: SurrogateOptions
}

/** Pieces with temporal edges, named `edge`. */
export type Temporal =
  /** An array gives each channel its own number of steps. */
  | { readonly piece: "delay"; readonly steps: number | ReadonlyArray<number>; readonly edge: string }
  /** The output of the body is fed back to it, with or without a weight layer. The body preserves the shape. */
  | {
      readonly piece: "recurrent"
      readonly steps: number
      readonly edge: string
      readonly mapped: boolean
      readonly body: ReadonlyArray<Piece>
    }

/** A window. For sequences, the last numbers apply. */
export interface Window {
  readonly kernelSize: readonly [number, number]
  readonly stride: readonly [number, number]
  readonly padding: number
  readonly dilation: number
}

/** A part of a network. */
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
      /** Number of groups: one, two, or the number of channels. */
      readonly groups: "one" | "two" | "all"
      readonly transposed: boolean
    })
  | (Window & { readonly piece: "averagePool" | "sumPool" | "maxPool" })
  | { readonly piece: "adaptiveAveragePool"; readonly outputSize: number }
  | { readonly piece: "batchNorm" | "gain" | "flatten" }
  | { readonly piece: "upsample" | "reshape" | "transpose" | "slice" | "concatenate" }
  | { readonly piece: "scale"; readonly factor: number }
  | { readonly piece: "dropout"; readonly rate: number }
  | { readonly piece: "leakyReadout"; readonly tau: number }
  /**
   * The body preserves the shape. With a stride or a change of channels, a convolution precedes it and another one is on the
   * shortcut.
   */
  | {
      readonly piece: "residual"
      readonly channels: number
      readonly stride: number
      readonly body: ReadonlyArray<Piece>
    }

/** The read-out: a linear layer, possibly followed by other layers, or the flattened value itself. */
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
  /** Seed of parameters, data, labels, dropout masks and drawn steps. */
  readonly seed: number
}

/** All kinds of spiking neurons. τ = 1 (a decay of 0) is excluded for neurons that train it. */
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

/** Extents of windows, mostly square. */
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
    fc.constantFrom("upsample", "reshape", "transpose", "slice", "concatenate").map((piece) => ({ piece })),
    delay(),
    cell(),
  )

const firing = (): fc.Arbitrary<Piece> =>
  fc.oneof({ weight: 4, arbitrary: neuron() }, { weight: 1, arbitrary: twoStates() }, { weight: 1, arbitrary: cell() })

/** A weight layer and its neurons, with or without other layers between and after them. */
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

/** Tiny networks, each with a batch. */
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
