/** Batch normalisation and weight standardisation: one column per channel, statistics over the rows. */
import type { Tensor, Workspace } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

/** ε and momentum of batch normalisation and ε of weight standardisation, as in core. */
const epsilon = 1e-5
const momentum = 0.1
const standardizationEpsilon = 1e-4

const count = ({ shape }: Tensor): number => shape[0] as number

/** A matrix with one column per channel. A flattened image's buffer may have other axes than the value, so channels are given. */
const rowsOf = (tf: Workspace, x: Tensor, { shape: [channels] }: Tensor): Tensor => tf.rows(x, channels)

const mean = (tf: Workspace, rows: Tensor): Tensor => tf.div(tf.sumRows(rows), count(rows))

const inverseRoot = (tf: Workspace, x: Tensor): Tensor => tf.div(1, tf.sqrt(x))

export const batchNormForward: Composition<
  Operands<"x" | "weight" | "bias" | "runningMean" | "runningVariance", "mean" | "inverseDeviation" | "y">,
  { readonly updates: number }
> = (tf, { x, weight, bias, runningMean, runningVariance }, { updates }) => {
  const rows = rowsOf(tf, x, weight)
  const average = mean(tf, rows)
  const centered = tf.sub(rows, average)
  const squares = tf.sumRows(tf.square(centered))
  const inverseDeviation = inverseRoot(tf, tf.add(tf.div(squares, count(rows)), epsilon))
  const y = tf.add(tf.mul(tf.mul(centered, inverseDeviation), weight), bias)
  const unbiased = tf.div(squares, Math.max(1, count(rows) - 1))
  const move = (running: Tensor, towards: Tensor): Tensor => {
    let moved = running
    for (let update = 0; update < updates; update++) moved = tf.add(moved, tf.mul(momentum, tf.sub(towards, moved)))
    return moved
  }
  return {
    y,
    mean: average,
    inverseDeviation,
    runningMean: move(runningMean, average),
    runningVariance: move(runningVariance, unbiased),
  }
}

export const batchNormInference: Composition<
  Operands<"x" | "weight" | "bias" | "runningMean" | "runningVariance", "y">
> = (tf, { x, weight, bias, runningMean, runningVariance }) => {
  const deviation = tf.sqrt(tf.add(runningVariance, epsilon))
  return { y: tf.add(tf.mul(tf.div(tf.sub(rowsOf(tf, x, weight), runningMean), deviation), weight), bias) }
}

export const batchNormBackward: Composition<
  Operands<
    "x" | "weight" | "mean" | "inverseDeviation" | "outputGradient",
    "weightGradient" | "biasGradient",
    never,
    "inputGradient"
  >
> = (tf, { x, weight, mean: average, inverseDeviation, outputGradient, inputGradient }) => {
  const normalized = tf.mul(tf.sub(rowsOf(tf, x, weight), average), inverseDeviation)
  const gradient = rowsOf(tf, outputGradient, weight)
  const sum = tf.sumRows(gradient)
  const projection = tf.sumRows(tf.mul(gradient, normalized))
  const parameters = { weightGradient: projection, biasGradient: sum }
  if (inputGradient === undefined) return parameters
  const common = tf.div(tf.add(sum, tf.mul(normalized, projection)), count(gradient))
  return {
    ...parameters,
    inputGradient: tf.mul(tf.mul(weight, inverseDeviation), tf.sub(gradient, common)),
  }
}

/** (W − mean)·scale, and scale, per output channel. */
const standardize = (tf: Workspace, weight: Tensor) => {
  const rows = tf.rows(weight)
  const fanIn = count(rows)
  const centered = tf.sub(rows, mean(tf, rows))
  const variance = tf.div(tf.sumRows(tf.square(centered)), Math.max(1, fanIn - 1))
  const scale = inverseRoot(tf, tf.add(tf.mul(fanIn, variance), standardizationEpsilon))
  return { centered, scale, fanIn }
}

export const weightStandardizationForward: Composition<Operands<"weight" | "gain", "y">> = (tf, { weight, gain }) => {
  const { centered, scale } = standardize(tf, weight)
  return { y: tf.mul(tf.mul(gain, centered), scale) }
}

export const weightStandardizationBackward: Composition<
  Operands<"weight" | "gain" | "outputGradient", "weightGradient" | "gainGradient">
> = (tf, { weight, gain, outputGradient }) => {
  const { centered, scale, fanIn } = standardize(tf, weight)
  const standardized = tf.mul(centered, scale)
  const gradient = tf.rows(outputGradient)
  const projection = tf.sumRows(tf.mul(gradient, standardized))
  const ratio = fanIn / Math.max(1, fanIn - 1)
  const radial = tf.mul(tf.mul(ratio, standardized), projection)
  return {
    gainGradient: projection,
    weightGradient: tf.mul(tf.mul(gain, scale), tf.sub(tf.sub(gradient, mean(tf, gradient)), radial)),
  }
}
