import { learn } from "../../expressions/layer.ts"
import * as Graph from "../../graph/index.ts"
import {
  adaptiveAveragePool,
  adaptiveLif,
  add,
  averagePool,
  batchNorm,
  conv2d,
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
  plif,
  recurrent,
  scale,
  scaledWeightStandardizedConv2d,
} from "../../layers.ts"
import { size } from "../../shape.ts"
import { layerOf } from "./cell.ts"
import type { Piece, Window, Workload } from "./workload.ts"

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
  readonly batchSize: number
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
      const map = image ? conv2d({ channels, bias: false, ...same(3) }) : linear({ features: channels, bias: false })
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
      const channels = keepShape ? x.shape.at(-1)! : piece.channels
      if (!image) return x.pipe(linear({ features: channels, bias }))
      const options = { channels, bias, ...(keepShape ? same(piece.kernelSize) : fit(x.shape, piece)) }
      // One weight has no variance.
      const several = x.shape.at(-1)! * options.kernelSize ** 2 > 1
      return x.pipe(standardized && several ? scaledWeightStandardizedConv2d(options) : conv2d(options))
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
      // One value has no variance.
      return building.batchSize * size(x.shape) === x.shape.at(-1) ? x : x.pipe(batchNorm())
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

const known = { smooth: new WeakMap<Workload, Graph.Graph>(), firing: new WeakMap<Workload, Graph.Graph>() }

/** The network of a workload; made once for each. */
export const graphOf = (workload: Workload, { smooth = false }: { readonly smooth?: boolean } = {}): Graph.Graph => {
  const made = known[smooth ? "smooth" : "firing"]
  const graph = made.get(workload) ?? build(workload, smooth)
  made.set(workload, graph)
  return graph
}

const build = ({ input, pieces, readOut, batchSize }: Workload, smooth: boolean): Graph.Graph =>
  Graph.makeUnsafe(input, (x) => {
    const hidden = pieces.reduce((h, piece) => apply(h, piece, { smooth, batchSize, keepShape: false }), x)
    const flat = hidden.shape.length === 3 ? hidden.pipe(flatten()) : hidden
    const out =
      readOut.classes !== "flattened"
        ? flat.pipe(linear({ features: readOut.classes }))
        : flat.name === x.name || hidden.name === x.name
          ? flat.pipe(scale(1))
          : flat
    return readOut.behind.reduce((h, piece) => apply(h, piece, { smooth, batchSize, keepShape: true }), out)
  })
