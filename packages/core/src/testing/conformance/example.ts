/** Examples: a kernel, its attributes, and operands drawn from a key. */
import type { Operand } from "../../kernel.ts"
import type { KernelName } from "../../kernels.ts"
import * as Key from "../../random.ts"
import { type Shape, size } from "../../shape.ts"
import type { Elements } from "../../spikes.ts"

/** An operand's values. */
export interface Drawn extends Operand {
  readonly elements: Elements
}

/** An operand with values drawn from a key. */
export type Draw = (key: Key.Key) => Drawn

/** An example of a kernel. */
export interface Example {
  /** Description of the example: what is special about it, and its shapes. */
  readonly name: string
  readonly attributes?: Readonly<Record<string, unknown>>
  /** Operands. Write-only ones define shapes; they start with garbage. */
  readonly operands: Readonly<Record<string, Draw>>
  /** Two operands in one buffer: the second is overwritten while the first is read. */
  readonly shared?: readonly [read: string, written: string]
  /** Non-finite results must be non-finite, but not equal; finite ones are not compared. */
  readonly loose?: true
}

/** Examples by name of the kernel. */
export type Examples = Readonly<Record<KernelName, ReadonlyArray<Example>>>

const draw =
  (shape: Shape, values: (key: Key.Key, length: number) => Float32Array, elements: Elements = "float32"): Draw =>
  (key) => ({ shape, elements, data: values(key, size(shape)) })

/** Standard normal numbers times `scale`. */
export const normal = (shape: Shape, scale = 1): Draw =>
  draw(shape, (key, length) => Key.normal(key, new Float32Array(length)).map((value) => scale * value))

/** Uniform numbers between two bounds. */
export const uniform = (shape: Shape, low: number, high: number): Draw =>
  draw(shape, (key, length) => Key.uniform(key, new Float32Array(length)).map((u) => low + (high - low) * u))

/** Whole numbers from 0 to `count` − 1. */
export const integers = (shape: Shape, count: number): Draw =>
  draw(shape, (key, length) => Key.uniform(key, new Float32Array(length)).map((u) => Math.floor(count * u)))

/** Spikes; each element fires with probability `rate`. */
export const spikes = (shape: Shape, rate = 0.3): Draw =>
  draw(shape, (key, length) => Key.uniform(key, new Float32Array(length)).map((u) => (u < rate ? 1 : 0)), "spikes")

/** The given values, repeated. */
export const cycle = (shape: Shape, ...values: ReadonlyArray<number>): Draw =>
  draw(shape, (_, length) => Float32Array.from({ length }, (_, i) => values[i % values.length]!))

/** One float32 number everywhere. */
export const constant = (shape: Shape, value: number): Draw => cycle(shape, value)

/** The two words of the key. */
export const words: Draw = ({ hi, lo }) => ({
  shape: [2],
  elements: "words",
  data: new Float32Array(Uint32Array.of(hi, lo).buffer),
})

/** An operand that a kernel writes. */
export const output = (shape: Shape, elements: Elements = "float32"): Draw =>
  draw(
    shape,
    (_, length) => Float32Array.from({ length }, (_, i) => (elements === "spikes" ? i % 2 : 9.25 + i)),
    elements,
  )

/** Ordinary numbers, zeros of both signs, and subnormal numbers. */
const tiny = (shape: Shape): Draw => cycle(shape, 0, 1e-40, -0.75, -0, -1e-40, 1e-45, 1.5)

/** A kind of input, with a name. */
export type Kind = readonly [name: string, of: (shape: Shape) => Draw]

/** Inputs for every kernel that reads activations. */
export const ordinary: ReadonlyArray<Kind> = [
  ["real", (shape) => normal(shape)],
  ["spikes", (shape) => spikes(shape)],
]

/** No spikes, all spikes, and values at the limits of float32. */
export const extreme: ReadonlyArray<Kind> = [
  ["no spikes", (shape) => spikes(shape, 0)],
  ["all spikes", (shape) => spikes(shape, 1)],
  ["zeros", (shape) => constant(shape, 0)],
  ["negative", (shape) => uniform(shape, -2, -1)],
  ["tiny", tiny],
]

/** Values of about 10³⁰. */
export const huge: Kind = ["huge", (shape) => normal(shape, 1e30)]

/** A single NaN or infinity among ordinary numbers. It must affect everything that depends on it, and nothing else. */
const blemished =
  (blemish: number) =>
  (shape: Shape): Draw =>
  (key) => {
    const drawn = normal(shape)(key)
    drawn.data[Math.floor(drawn.data.length / 2)] = blemish
    return drawn
  }

export const notFinite: ReadonlyArray<Kind> = [
  ["NaN", blemished(Number.NaN)],
  ["infinity", blemished(Number.POSITIVE_INFINITY)],
]
