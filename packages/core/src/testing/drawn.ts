/**
 * Weights and batches that a script in another language draws again, bit for bit, from a seed and names: golden files of large
 * networks need not hold them. All are in PyTorch's layouts. With u the uniform numbers of the key that a seed and a name fold
 * to, and c = 2u − 1, each is computed in float64 and rounded once.
 */
import type { Graph, Parameter } from "../graph/graph.ts"
import { fromPyTorch } from "../interop/pytorch.ts"
import * as Key from "../random.ts"
import { type Shape, size } from "../shape.ts"

const uniform = (seed: number, path: ReadonlyArray<string | number>, length: number): Float32Array =>
  Key.uniform(Key.fold(Key.make(seed), ...path), new Float32Array(length))

/** Numbers between −1 and 1. */
export const centred = (seed: number, path: ReadonlyArray<string | number>, length: number): Float32Array =>
  uniform(seed, path, length).map((u) => 2 * u - 1)

/** base + scale·c: weights of several axes by their fan-in, biases and running means around 0, gains around 2, others around 1. */
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

export interface BatchOptions {
  readonly seed: number
  /** The number of the batch. */
  readonly update: number
  readonly batchSize: number
  readonly classes: number
  /** Of one image: [channels, height, width]. */
  readonly shape: Shape
}

/** Class numbers, [N]. */
export const labels = ({ seed, update, batchSize, classes }: BatchOptions): Float32Array =>
  uniform(seed, ["label", update], batchSize).map((u) => Math.floor(u * classes))

/** Images that can be learnt, [N, channels, height, width]: a pattern of the class, in squares of 8×8 pixels, and noise. */
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

/** Event frames, [T, N, channels, height, width]: an event at 35 % of the places. */
export const events = ({ seed, update, batchSize, shape }: BatchOptions, timeSteps: number): Float32Array =>
  uniform(seed, ["events", update], timeSteps * batchSize * size(shape)).map((u) => (u < 0.35 ? 1 : 0))

/** Norm of a tensor in PyTorch's layout, and its products with three drawn directions: what differs anywhere differs here. */
export const summary = (seed: number, name: string, values: Float32Array): Float32Array => {
  const dot = (other: Float32Array) => values.reduce((sum, value, i) => sum + value * other[i]!, 0)
  const directions = [0, 1, 2].map((i) => centred(seed, ["direction", i, name], values.length))
  return Float32Array.of(Math.sqrt(dot(values)), ...directions.map(dot))
}

/** So many elements, evenly spread, of a tensor that has more. */
export const sample = (values: Float32Array, count: number): Float32Array =>
  values.length <= count
    ? values
    : Float32Array.from({ length: count }, (_, i) => values[Math.floor((i * values.length) / count)]!)
