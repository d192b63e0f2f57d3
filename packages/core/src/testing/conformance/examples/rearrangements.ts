/** Examples of rearrangements: for each such op, the copy, and the sum that is its gradient. */

import type { AnyOp, Emit } from "../../../op.ts"
import { concatenateOp } from "../../../ops/concatenate.ts"
import { type Rearrangement, rearrange } from "../../../ops/rearrange.ts"
import { reshapeOp } from "../../../ops/reshape.ts"
import { sliceOp } from "../../../ops/slice.ts"
import { transposeOp } from "../../../ops/transpose.ts"
import { upsampleOp } from "../../../ops/upsample.ts"
import { type Shape, size } from "../../../shape.ts"
import { type Draw, type Example, type Examples, extreme, huge, normal, notFinite, output, spikes } from "../example.ts"

interface Use {
  readonly op: AnyOp
  readonly attributes: object
  /** The shape of one sample. */
  readonly inputs: ReadonlyArray<Shape>
  readonly batch?: number
}

const uses: ReadonlyArray<Use> = [
  { op: upsampleOp, attributes: { scaleFactor: [2, 3] }, inputs: [[3, 2, 5]], batch: 3 },
  { op: upsampleOp, attributes: { scaleFactor: [1, 2] }, inputs: [[2, 3, 33]], batch: 2 },
  { op: upsampleOp, attributes: { scaleFactor: 3 }, inputs: [[4, 3]], batch: 2 },
  { op: reshapeOp, attributes: { shape: [2, 3, 11] }, inputs: [[66]], batch: 2 },
  { op: transposeOp, attributes: { axes: [2, 0, 1] }, inputs: [[3, 5, 2]], batch: 2 },
  { op: sliceOp, attributes: { axis: 2, start: 1, end: 34 }, inputs: [[2, 3, 37]], batch: 2 },
  { op: sliceOp, attributes: { axis: 0, start: 1, end: 3 }, inputs: [[4, 2, 3]], batch: 3 },
  {
    op: concatenateOp,
    attributes: { axis: 2, inputs: 2 },
    inputs: [
      [2, 3, 5],
      [2, 3, 31],
    ],
    batch: 2,
  },
  {
    op: concatenateOp,
    attributes: { axis: 0, inputs: 3 },
    inputs: [
      [3, 4],
      [1, 4],
      [2, 4],
    ],
    batch: 3,
  },
]

const typeOf = (shape: Shape) => ({ shape, elements: "float32", batched: true }) as const

/** The instructions of an op in one direction. Every input has a gradient. */
const emitted = ({ op, attributes, inputs }: Use, direction: "forward" | "backward"): ReadonlyArray<Rearrangement> => {
  const found: Array<Rearrangement> = []
  const emit = (kernel: unknown, _: unknown, given: Rearrangement) => {
    if (kernel === rearrange) found.push(given)
  }
  const ref = { buffer: 0 }
  const context = {
    ...{ attributes, emit: emit as unknown as Emit, arity: inputs.length, output: ref, outputGradient: ref },
    ...{ input: () => ref, gradient: () => ref, inputType: (i: number) => typeOf(inputs[i]!) },
  }
  op[direction](context as never)
  return found
}

/** Alternating spikes, none of them written from x. */
const apart =
  (shape: Shape, { to, axes }: Rearrangement): Draw =>
  () => {
    const sample = size(shape.slice(1))
    const reached = new Set<number>()
    const visit = (depth: number, place: number): void => {
      const axis = axes[depth]
      if (axis === undefined) reached.add(place)
      else for (let i = 0; i < axis.count; i++) visit(depth + 1, place + i * axis.to)
    }
    visit(0, to)
    const data = Float32Array.from({ length: size(shape) }, (_, i) => (reached.has(i % sample) ? 0 : i % 2))
    return { shape, elements: "spikes", data }
  }

const examplesOf = (use: Use): ReadonlyArray<Example> => {
  const { op, attributes, inputs, batch = 1 } = use
  const fail = (reason: string): never => {
    throw new Error(reason)
  }
  const y = [batch, ...op.infer(inputs.map(typeOf), attributes, fail).shape]
  return inputs.flatMap((input, i): ReadonlyArray<Example> => {
    const x = [batch, ...input]
    const name = `${op.name} ${JSON.stringify(attributes)} of ${x.join("×")}, input ${i + 1}`
    const forward = { ...emitted(use, "forward")[i]! }
    const backward = { ...emitted(use, "backward")[i]! }
    return [
      { name: `real ${name}`, attributes: forward, operands: { x: normal(x), y: output(y) } },
      { name: `spikes ${name}`, attributes: forward, operands: { x: spikes(x), y: apart(y, forward) } },
      { name: `gradient ${name}`, attributes: backward, operands: { x: normal(y), y: output(x) } },
    ]
  })
}

const usual = { ...emitted(uses[0]!, "forward")[0]! }

export const rearrangements = {
  rearrange: [
    ...uses.flatMap(examplesOf),
    {
      name: "spikes to numbers",
      attributes: usual,
      operands: { x: spikes([2, 3, 2, 5]), y: output([2, 6, 6, 5]) },
    },
    ...[...extreme.slice(1), huge, ...notFinite].map(
      ([kind, x]): Example => ({
        name: `${kind} upsampled`,
        attributes: usual,
        operands: { x: x([2, 3, 2, 5]), y: output([2, 6, 6, 5]) },
      }),
    ),
  ],
} satisfies Partial<Examples>
