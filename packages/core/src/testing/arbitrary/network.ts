import { learn } from "../../expressions/layer.ts"
import * as Graph from "../../graph/index.ts"
import {
  adaptiveAveragePool,
  adaptiveAveragePool1d,
  adaptiveLif,
  add,
  averagePool,
  averagePool1d,
  batchNorm,
  type Conv2dOptions,
  concatenate,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  currentBasedLif,
  delay,
  dropout,
  type FiringOptions,
  flatten,
  gain,
  integrateAndFire,
  leakyReadout,
  lif,
  linear,
  maxPool,
  maxPool1d,
  plif,
  recurrent,
  reshape,
  scale,
  scaledWeightStandardizedConv2d,
  slice,
  sumPool,
  sumPool1d,
  transpose,
  upsample,
  upsample1d,
} from "../../layers.ts"
import { both } from "../../ops/window.ts"
import { size } from "../../shape.ts"
import { layerOf } from "./cell.ts"
import type { Piece, Window, Workload } from "./workload.ts"

type Options = Pick<Conv2dOptions, "kernelSize" | "stride" | "padding" | "dilation">

/** The largest window that fits a value of this shape and that a pool accepts. */
const fit = (shape: ReadonlyArray<number>, { kernelSize, stride, padding, dilation }: Window): Options => {
  const extents = shape.length === 2 ? [shape[0]!, shape[0]!] : shape
  const most = (i: 0 | 1) => Math.floor((extents[i]! + 2 * padding - 1) / dilation) + 1
  return { kernelSize: [Math.min(kernelSize[0], most(0)), Math.min(kernelSize[1], most(1))], stride, padding, dilation }
}

/** A window that preserves the extents. */
const same = (kernelSize: readonly [number, number]): Options => ({
  kernelSize: [kernelSize[0] === 1 ? 1 : 3, kernelSize[1] === 1 ? 1 : 3],
  stride: 1,
  padding: "same",
})

/** The options for a sequence. */
const along = ({ kernelSize, stride = 1, padding = 0, dilation = 1 }: Options) => ({
  kernelSize: both(kernelSize)[1],
  stride: both(stride)[1],
  padding: padding as number | "same",
  dilation: both(dilation)[1],
})

/** A convolution of an image or a sequence. */
const convolution = (x: Graph.Tensor, options: Conv2dOptions): Graph.Layer => {
  const { kernelSize, stride, padding, dilation, ...rest } = options
  return x.shape.length === 2 ? conv1d({ ...rest, ...along(options) }) : conv2d(options)
}

const transposed = (x: Graph.Tensor, options: Conv2dOptions): Graph.Layer => {
  const { padding, ...rest } = options
  const own = { ...rest, stride: options.stride ?? 1, padding: typeof padding === "number" ? padding : 0 }
  return x.shape.length === 2 ? convTranspose1d({ ...own, ...along(own), padding: own.padding }) : convTranspose2d(own)
}

const pools = {
  averagePool: [averagePool, averagePool1d],
  sumPool: [sumPool, sumPool1d],
  maxPool: [maxPool, maxPool1d],
} as const

interface Building {
  /** Smooth mode: neurons output the surrogate's primitive. */
  readonly smooth: boolean
  /** Whether the shape must not change. */
  readonly keepShape: boolean
  readonly batchSize: number
}

const apply = (x: Graph.Tensor, piece: Piece, building: Building): Graph.Tensor => {
  const { keepShape, smooth } = building
  const image = x.shape.length > 1
  switch (piece.piece) {
    case "lif":
    case "if":
    case "plif": {
      const { tau, threshold, reset, surrogate } = piece
      const firing: FiringOptions = { threshold, reset, surrogate, smooth }
      if (piece.piece === "if") return x.pipe(integrateAndFire(firing))
      return x.pipe(piece.piece === "lif" ? lif({ ...firing, tau }) : plif({ ...firing, tau }))
    }
    case "adaptiveLif":
    case "currentBasedLif": {
      const { otherDecay, learnt, threshold, surrogate } = piece
      const decay = learnt === "fixed" ? piece.decay : learn(piece.decay, learnt)
      const shared = { decay, threshold, surrogate, smooth }
      return piece.piece === "adaptiveLif"
        ? x.pipe(adaptiveLif({ ...shared, adaptationDecay: otherDecay }))
        : x.pipe(currentBasedLif({ ...shared, currentDecay: otherDecay }))
    }
    case "cell":
      return layerOf(piece, x, smooth)
    case "delay": {
      const { steps, edge } = piece
      const channels = Array.from({ length: x.shape.at(-1)! })
      return x.pipe(
        delay({ edge, steps: typeof steps === "number" ? steps : channels.map((_, c) => steps[c % steps.length]!) }),
      )
    }
    case "recurrent": {
      const { steps, edge, mapped, body } = piece
      const channels = x.shape.at(-1)!
      const map = image
        ? convolution(x, { channels, bias: false, ...same([3, 3]) })
        : linear({ features: channels, bias: false })
      return x.pipe(
        recurrent(
          (given, fedBack) =>
            body.reduce(
              (h, each) => apply(h, each, { ...building, keepShape: true }),
              add(given, fedBack.pipe(mapped ? map : scale(0.5))),
            ),
          { steps, edge },
        ),
      )
    }
    case "conv": {
      const { bias, standardized } = piece
      const inputs = x.shape.at(-1)!
      const channels = keepShape ? inputs : piece.channels
      if (!image) return x.pipe(linear({ features: channels, bias }))
      const wanted = { one: 1, two: 2, all: inputs }[piece.groups]
      const groups = inputs % wanted === 0 && channels % wanted === 0 ? wanted : 1
      const grows = piece.transposed && !keepShape && Math.max(...x.shape.slice(0, -1)) < 4
      const options = { channels, bias, groups, ...(keepShape ? same(piece.kernelSize) : fit(x.shape, piece)) }
      if (grows) return x.pipe(transposed(x, { ...options, padding: 0 }))
      // A single weight has no variance.
      const several = (inputs / groups) * both(options.kernelSize)[0] * both(options.kernelSize)[1] > 1
      const isStandardized = standardized && several && x.shape.length === 3
      return x.pipe(isStandardized ? scaledWeightStandardizedConv2d(options) : convolution(x, options))
    }
    case "averagePool":
    case "sumPool":
    case "maxPool": {
      if (!image) return x
      // A window of one pixel allows no padding, and the whole image may fit between dilated taps.
      const padding = Math.min(...piece.kernelSize) === 1 || piece.dilation > 1 ? 0 : piece.padding
      const padded = fit(x.shape, { ...piece, padding })
      const isShrunk = both(padded.kernelSize).some((size) => size === 1)
      const options = keepShape ? same(piece.kernelSize) : isShrunk ? fit(x.shape, { ...piece, padding: 0 }) : padded
      const [over, of] = pools[piece.piece]
      if (x.shape.length === 3) return x.pipe(over(options))
      const one = along(options)
      return x.pipe(of({ ...one, padding: typeof one.padding === "number" ? one.padding : (one.kernelSize - 1) / 2 }))
    }
    case "adaptiveAveragePool": {
      const { outputSize } = piece
      if (!image || keepShape) return x
      return x.pipe(x.shape.length === 2 ? adaptiveAveragePool1d({ outputSize }) : adaptiveAveragePool({ outputSize }))
    }
    case "batchNorm":
      // A single value has no variance.
      return building.batchSize * size(x.shape) === x.shape.at(-1) ? x : x.pipe(batchNorm())
    case "gain":
      return x.pipe(gain())
    case "flatten":
      return image && !keepShape ? x.pipe(flatten()) : x
    case "upsample": {
      if (!image || keepShape || Math.max(...x.shape.slice(0, -1)) > 3) return x
      return x.pipe(x.shape.length === 2 ? upsample1d({ scaleFactor: 3 }) : upsample({ scaleFactor: [1, 2] }))
    }
    case "reshape":
      return image && !keepShape ? x.pipe(reshape({ shape: x.shape.toReversed() })) : x
    case "transpose": {
      const there = transpose({ axes: x.shape.map((_, axis) => (axis + 1) % x.shape.length) })
      const back = transpose({ axes: x.shape.map((_, axis) => (axis + x.shape.length - 1) % x.shape.length) })
      return keepShape ? x.pipe(there, back) : x.pipe(there)
    }
    case "slice":
      return image && !keepShape ? x.pipe(slice({ start: x.shape.at(-1)! > 1 ? 1 : 0 })) : x
    case "concatenate": {
      // PyTorch orders the features of a flattened image differently.
      if (!image || x.shape.at(-1) === 1) return x
      const parts = [x.pipe(slice({ start: 1 })), x.pipe(slice({ end: 1 }))]
      return concatenate(keepShape ? parts : [...parts, x])
    }
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
      const map = (size: number) =>
        image
          ? convolution(x, { channels, kernelSize: size, stride, padding: (size - 1) / 2 })
          : linear({ features: channels })
      const first = reshaped ? x.pipe(map(3)) : x
      const body = piece.body.reduce((h, each) => apply(h, each, { ...building, keepShape: true }), first)
      return add(body, reshaped ? x.pipe(map(1)) : x)
    }
    default:
      return piece satisfies never
  }
}

const known = { smooth: new WeakMap<Workload, Graph.Graph>(), firing: new WeakMap<Workload, Graph.Graph>() }

/** The network of a workload, built once. */
export const graphOf = (workload: Workload, { smooth = false }: { readonly smooth?: boolean } = {}): Graph.Graph => {
  const made = known[smooth ? "smooth" : "firing"]
  const graph = made.get(workload) ?? build(workload, smooth)
  made.set(workload, graph)
  return graph
}

const build = ({ input, pieces, readOut, batchSize }: Workload, smooth: boolean): Graph.Graph =>
  Graph.makeUnsafe(input, (x) => {
    const hidden = pieces.reduce((h, piece) => apply(h, piece, { smooth, batchSize, keepShape: false }), x)
    const flat = hidden.shape.length > 1 ? hidden.pipe(flatten()) : hidden
    const out =
      readOut.classes !== "flattened"
        ? flat.pipe(linear({ features: readOut.classes }))
        : flat.name === x.name || hidden.name === x.name
          ? flat.pipe(scale(1))
          : flat
    return readOut.behind.reduce((h, piece) => apply(h, piece, { smooth, batchSize, keepShape: true }), out)
  })
