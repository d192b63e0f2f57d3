/**
 * Weights and batches drawn from a seed and names, which a script in another language can draw bit-identically, so golden files of
 * large networks need not contain them. All are in PyTorch's layouts. With u the uniform numbers of the key folded from seed and
 * name, and c = 2u − 1, each value is computed in float64 and rounded once.
 */
import type { Graph, Parameter } from "../graph/graph.ts"
import { fromPyTorch } from "../interop/pytorch.ts"
import * as Key from "../random.ts"
import { type Shape, size } from "../shape.ts"

const uniform = (seed: number, path: ReadonlyArray<string | number>, length: number): Float32Array =>
  Key.uniform(Key.fold(Key.make(seed), ...path), new Float32Array(length))

/** Uniform numbers between −1 and 1. */
export const centred = (seed: number, path: ReadonlyArray<string | number>, length: number): Float32Array =>
  uniform(seed, path, length).map((u) => 2 * u - 1)

/**
 * base + scale·c: weights with several axes scale with their fan-in; biases and running means are around 0, gains around 2, others
 * around 1.
 */
const placed = ({ name, shape }: Parameter): readonly [base: number, scale: number] => {
  if (shape.length > 1) return [0, 3 / Math.sqrt(size(shape) / shape.at(-1)!)]
  if (/(bias|running_mean)$/.test(name)) return [0, 0.3]
  return [name.endsWith("gain") ? 2 : 1, 0.3]
}

/** Values of a graph's parameter, in our layout. */
export const parameter = (seed: number, graph: Graph, parameter: Parameter): Float32Array => {
  const [base, scale] = placed(parameter)
  const theirs = centred(seed, ["param", parameter.name], size(parameter.shape)).map((c) => base + scale * c)
  return fromPyTorch(graph, parameter, theirs)
}

/** Options of drawn batches. */
export interface BatchOptions {
  readonly seed: number
  /** Number of the batch. */
  readonly update: number
  readonly batchSize: number
  readonly classes: number
  /** Shape of one image: [channels, height, width]. */
  readonly shape: Shape
}

/** Class indices, [N]. */
export const labels = ({ seed, update, batchSize, classes }: BatchOptions): Float32Array =>
  uniform(seed, ["label", update], batchSize).map((u) => Math.floor(u * classes))

/** Learnable images, [N, channels, height, width]: a pattern per class, in squares of 8×8 pixels, plus noise. */
export const images = (options: BatchOptions): Float32Array => {
  const { seed, update, batchSize, classes, shape } = options
  const [channels, height, width] = shape as readonly [number, number, number]
  const [rows, columns] = [Math.ceil(height / 8), Math.ceil(width / 8)]
  const patterns = Array.from({ length: classes }, (_, label) =>
    centred(seed, ["pattern", label], channels * rows * columns),
  )
  const own = labels(options)
  const square = (i: number) => {
    const [x, y, channel] = [i % width, Math.floor(i / width) % height, Math.floor(i / (width * height)) % channels]
    return (channel * rows + (y >> 3)) * columns + (x >> 3)
  }
  return centred(seed, ["noise", update], batchSize * size(shape)).map(
    (c, i) => c / 2 + 2 * patterns[own[Math.floor(i / size(shape))]!]![square(i)]!,
  )
}

/** Event frames, [T, N, channels, height, width]: 35 % of elements are events. */
export const events = ({ seed, update, batchSize, shape }: BatchOptions, timeSteps: number): Float32Array =>
  uniform(seed, ["events", update], timeSteps * batchSize * size(shape)).map((u) => (u < 0.35 ? 1 : 0))

/** The norm of a tensor in PyTorch's layout, and its products with three drawn directions, which differ if any element differs. */
export const summary = (seed: number, name: string, values: Float32Array): Float32Array => {
  const dot = (other: Float32Array) => values.reduce((sum, value, i) => sum + value * other[i]!, 0)
  const directions = [0, 1, 2].map((i) => centred(seed, ["direction", i, name], values.length))
  return Float32Array.of(Math.sqrt(dot(values)), ...directions.map(dot))
}

/** `count` evenly spaced elements of a longer tensor. */
export const sample = (values: Float32Array, count: number): Float32Array =>
  values.length <= count
    ? values
    : Float32Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!)
