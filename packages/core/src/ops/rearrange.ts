/**
 * Rearrangements: upsampling, reshape, transpose, slice and concatenation share one kernel, which adds elements of one value to
 * elements of another:
 *
 *     y[to + Σ_a i_a·to_a] += x[from + Σ_a i_a·from_a]   for all 0 ≤ i_a < count_a
 *
 * Indices are within one sample, channels last. The gradient is the same sum with `from` and `to` exchanged: if the forward
 * direction copies one element to several, the backward direction sums several. Spikes stay spikes.
 */
import type { Schema } from "effect"
import { elementwise, make as kernel, noCost, type Reference } from "../kernel.ts"
import { make, type Op, type ValueType } from "../op.ts"
import type { Shape } from "../shape.ts"
import { size } from "../shape.ts"

/** One axis of a rearrangement: the number of elements, and their strides in x and in y. */
export interface MovedAxis {
  readonly count: number
  readonly from: number
  readonly to: number
}

/** Attributes of the kernel. Strides are not negative; `to` is 0 along axes whose elements are summed. */
export interface Rearrangement {
  readonly from: number
  readonly to: number
  /** From outermost to innermost. */
  readonly axes: ReadonlyArray<MovedAxis>
}

/** The largest number of axes of a rearrangement: one less than a buffer may have. */
export const mostMovedAxes = 7

export const rearrange = kernel<Rearrangement>()({
  name: "rearrange",
  operands: { x: "read", y: "gradient" },
})

export const rearrangeReference: Reference<typeof rearrange> = {
  cost: ({ x }, { axes }) =>
    axes.some(({ to }) => to === 0)
      ? elementwise(
          axes.reduce((product, { count }) => product * count, x.shape[0] ?? 1),
          0,
          1,
        )
      : noCost,
  run: ({ x, y }, { from, to, axes }) => {
    const samples = x.shape[0] ?? 1
    const move = (depth: number, source: number, target: number): void => {
      const axis = axes[depth]
      if (axis === undefined) y.data[target]! += x.data[source]!
      else for (let i = 0; i < axis.count; i++) move(depth + 1, source + i * axis.from, target + i * axis.to)
    }
    for (let n = 0; n < samples; n++) move(0, (n * x.data.length) / samples + from, (n * y.data.length) / samples + to)
  },
}

/** The stride of each axis. */
export const stridesOf = (shape: Shape): Shape => shape.map((_, axis) => size(shape.slice(axis + 1)))

/** Makes a rearrangement. Merges axes that are contiguous in both values. */
export const rearrangement = (axes: ReadonlyArray<MovedAxis>, from = 0, to = 0): Rearrangement => {
  const merged: Array<MovedAxis> = []
  for (const axis of axes.filter(({ count }) => count > 1)) {
    const outer = merged.at(-1)
    if (outer?.from === axis.count * axis.from && outer.to === axis.count * axis.to)
      merged[merged.length - 1] = { ...axis, count: outer.count * axis.count }
    else merged.push(axis)
  }
  return { from, to, axes: merged }
}

/** The gradient of a rearrangement. */
const backwards = ({ from, to, axes }: Rearrangement): Rearrangement => ({
  from: to,
  to: from,
  axes: axes.map((axis) => ({ count: axis.count, from: axis.to, to: axis.from })),
})

interface Rule<A> extends Pick<Op<A>, "name" | "inputs"> {
  readonly attributes: Schema.Codec<A>
  readonly shape: (inputs: ReadonlyArray<Shape>, attributes: A, fail: (reason: string) => never) => Shape
  /** The rearrangement of the i-th input into the output. */
  readonly moves: (inputs: ReadonlyArray<Shape>, attributes: A, i: number) => Rearrangement
}

/** An op that rearranges its inputs into disjoint parts of the output. */
export const rearranging = <A>({ name, inputs, attributes, shape, moves }: Rule<A>): Op<A> => {
  const shapesOf = (arity: number, inputType: (i: number) => ValueType): ReadonlyArray<Shape> =>
    Array.from({ length: arity }, (_, i) => inputType(i).shape)
  return make<A>({
    ...{ name, inputs, attributes },
    infer: (types, given, fail) => ({
      shape: shape(
        types.map((type) => type.shape),
        given,
        fail,
      ),
      elements: types.every(({ elements }) => elements === "spikes") ? "spikes" : "float32",
      batched: true,
    }),
    recompute: "cheap",
    forward: ({ emit, arity, inputType, input, output, attributes }) => {
      const shapes = shapesOf(arity, inputType)
      for (let i = 0; i < arity; i++)
        emit(
          rearrange,
          { x: input(i), y: i === 0 ? output : { ...output, accumulate: true } },
          moves(shapes, attributes, i),
        )
    },
    backward: ({ emit, arity, inputType, outputGradient, gradient, attributes }) => {
      const shapes = shapesOf(arity, inputType)
      for (let i = 0; i < arity; i++) {
        const inputGradient = outputGradient && gradient(i)
        if (inputGradient)
          emit(rearrange, { x: outputGradient, y: inputGradient }, backwards(moves(shapes, attributes, i)))
      }
    },
  })
}
