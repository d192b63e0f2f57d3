/** Rearrangements as a gather: for every element of y, the indices of the elements of x that map to it. */
import type { KernelAttributes } from "@spikeroute/core"
import { elements, type Tensor } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

type Rearrangement = KernelAttributes["rearrange"]

const known = new WeakMap<Rearrangement, { readonly places: Float32Array; readonly terms: number }>()

/** The indices to sum for each output. All outputs have the same number of them; missing ones point just past the end of x, at a zero. */
const placesOf = (attributes: Rearrangement, inputs: number, outputs: number) => {
  const found = known.get(attributes)
  if (found) return found
  const { from, to, axes } = attributes
  const terms = axes.reduce((product, axis) => (axis.to === 0 ? product * axis.count : product), 1)
  const places = new Float32Array(outputs * terms).fill(inputs)
  const next = new Uint32Array(outputs)
  const move = (depth: number, source: number, target: number): void => {
    const axis = axes[depth]
    if (axis === undefined) places[target * terms + next[target]!++] = source
    else for (let i = 0; i < axis.count; i++) move(depth + 1, source + i * axis.from, target + i * axis.to)
  }
  move(0, from, to)
  known.set(attributes, { places, terms })
  return { places, terms }
}

/** Indices are created as float32, which is exact below this number. */
const most = 2 ** 24

export const rearrange: Composition<Operands<"x", "y">, Rearrangement> = (tf, { x, y }, attributes) => {
  const samples = y.shape[0] ?? 1
  const [inputs, outputs] = [elements(x) / samples, elements(y) / samples]
  if (inputs >= most)
    throw new Error(`a sample of ${inputs} elements is rearranged; TensorFlow.js takes fewer than 2^24`)
  const { places, terms } = placesOf(attributes, inputs, outputs)
  const indices = tf.call("Cast", { x: tf.create([places.length], places) }, { dtype: "int32" })
  const rows: Tensor = tf.pad(tf.reshape(x, samples, inputs), [
    [0, 0],
    [0, 1],
  ])
  const gathered = tf.call("GatherV2", { x: rows, indices }, { axis: 1, batchDims: 0 })
  return {
    y:
      terms === 1
        ? tf.reshape(gathered, ...y.shape)
        : tf.reshape(tf.sum(tf.reshape(gathered, elements(y), terms), 1), ...y.shape),
  }
}
