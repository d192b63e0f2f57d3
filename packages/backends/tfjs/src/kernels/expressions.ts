/**
 * Interprets expression code: one tensor operation per operation of the code, in order. Intermediates are freed after their last use.
 *
 * Values that repeat (a scalar or per-channel parameter, and anything computed from parameters alone) are stored once per distinct
 * element; element i is number i modulo their count.
 */
import { type Expressions, type KernelAttributes, Windows } from "@spikeroute/core"
import { elements, type Tensor, type Workspace } from "../workspace.ts"
import type { Composition, Result, Target } from "./composition.ts"
import { averagePoolBackward } from "./pooling.ts"
import { below } from "./rounding.ts"

type Code = Expressions.Code
type Line = Code[number]
/** A vector or a constant. */
type Value = Tensor | number
type Given = Readonly<Record<string, Tensor | Target | undefined>>

const one: Readonly<Record<string, string>> = {
  negate: "Neg",
  absolute: "Abs",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  tanh: "Tanh",
  sigmoid: "Sigmoid",
  atan: "Atan",
}

const two: Readonly<Record<string, string>> = {
  add: "Add",
  subtract: "Sub",
  multiply: "Multiply",
  divide: "RealDiv",
  minimum: "Minimum",
  maximum: "Maximum",
}

const tensorOf = (tf: Workspace, value: Value): Tensor =>
  typeof value === "number" ? tf.create([1], Float32Array.of(value)) : value

const lengthOf = (value: Value): number => (typeof value === "number" ? 1 : elements(value))

/** A binary operation; the shorter vector is repeated along the longer. */
const binary = (tf: Workspace, op: string, a: Value, b: Value): Tensor => {
  const [length, columns] = [Math.max(lengthOf(a), lengthOf(b)), Math.min(lengthOf(a), lengthOf(b))]
  const shaped = (value: Value): Value =>
    typeof value === "number" || columns === 1 ? value : tf.reshape(value, elements(value) / columns, columns)
  const [left, right] = columns === length ? [a, b] : [shaped(a), shaped(b)]
  return Object.assign(compute(tf, op, left, right), { shape: [length] })
}

const compute = (tf: Workspace, op: string, a: Value, b: Value): Tensor => {
  if (op === "greater") return tf.greater(a, b)
  if (op === "atLeast") return typeof b === "number" ? tf.greater(a, below(b)) : tf.atLeast(a, b)
  return tf.binary(two[op] as string, a, b)
}

const run = (tf: Workspace, [op]: Line, values: ReadonlyArray<Value>): Tensor => {
  const [a, b] = values as [Value, Value]
  if (values.length === 1) return tf.call(one[op] as string, { x: tensorOf(tf, a) })
  if (values.length === 2) return binary(tf, op, a, b)
  const length = Math.max(...values.map(lengthOf))
  const [condition, chosen, other] = values.map((value) => tf.repeat(tensorOf(tf, value), length))
  return tf.select(condition as Tensor, chosen as Tensor, other as Tensor)
}

/** The values of a leaf. */
const leafOf = (tf: Workspace, operands: Given, count: number, leaf: string): Tensor => {
  const [name = "", plane] = leaf.split(".")
  const all = tf.flat(operands[name] as Tensor)
  if (name === "h") return tf.at(all, Number(plane))
  return plane === undefined || elements(all) === count ? all : tf.slice(all, [Number(plane) * count], [count])
}

/** Runs a code and returns the values at the places `wanted`, of `count` elements each. */
const interpret = (
  tf: Workspace,
  code: Code,
  wanted: ReadonlyArray<number>,
  operands: Given,
  count: number,
): ReadonlyArray<Tensor> => {
  const uses = code.map(() => 0)
  const readBy = (line: Line): ReadonlyArray<number> =>
    line[0] === "constant" || line[0] === "leaf" ? [] : (line.slice(1) as ReadonlyArray<number>)
  for (const place of [...code.flatMap(readBy), ...wanted]) uses[place]!++
  const values: Array<Value> = []
  for (const line of code) {
    const read = readBy(line)
    if (line[0] === "constant") values.push(line[1])
    else if (line[0] === "leaf") values.push(leafOf(tf, operands, count, line[1]))
    else
      values.push(
        run(
          tf,
          line,
          read.map((place) => values[place] as Value),
        ),
      )
    for (const place of read) {
      const value = values[place] as Value
      if (--uses[place]! === 0 && typeof value !== "number") tf.free(value)
    }
  }
  const whole = new Map<number, Tensor>()
  for (const place of wanted)
    if (!whole.has(place)) {
      const value = values[place] as Value
      whole.set(place, typeof value === "number" ? tf.fill([count], value) : tf.repeat(value, count))
    }
  return wanted.map((place) => whole.get(place) as Tensor)
}

export const elementwiseForward: Composition<Given, KernelAttributes["elementwise.forward"]> = (
  tf,
  operands,
  { code, state: planes, y: place },
) => {
  const { state, y } = operands
  const count = y ? elements(y) : elements(state as Target) / planes.length
  const results = interpret(tf, code, place < 0 ? planes : [...planes, place], operands, count)
  return {
    ...(state ? { state: tf.concatenate(results.slice(0, planes.length)) } : {}),
    ...(y ? { y: results[planes.length] } : {}),
  }
}

type FollowingPool = NonNullable<KernelAttributes["elementwise.backward"]["pool"]>

/** The gradient of each element, given that of the average pool that follows. */
const poolGradient = (tf: Workspace, outputGradient: Tensor, { kernelSize, height, width }: FollowingPool): Tensor => {
  const [batch = 1, , , channels = 1] = outputGradient.shape
  const inputGradient = { shape: [batch, height, width, channels] }
  return averagePoolBackward(tf, { outputGradient, inputGradient }, Windows.averagingTiles(kernelSize))
    .inputGradient as Tensor
}

export const elementwiseBackward: Composition<Given, KernelAttributes["elementwise.backward"]> = (
  tf,
  given,
  { code, carry, dx, dp, pool },
) => {
  const operands: Given = pool && given.dy ? { ...given, dy: poolGradient(tf, given.dy as Tensor, pool) } : given
  const { dy, dx0, x0 } = operands
  const arrived = operands.carry && !dy ? elements(operands.carry) / carry.length : undefined
  const count = arrived ?? elements((dy ?? dx0 ?? x0) as Tensor)
  const gradients = [
    ...dx.map((place, i) => ({ name: `dx${i}`, place })),
    ...dp.map((place, j) => ({ name: `dp${j}`, place })),
  ].filter(({ place }) => place >= 0)
  const results = interpret(tf, code, [...carry, ...gradients.map(({ place }) => place)], operands, count)
  const result: Record<string, Result[string]> = {}
  if (operands.carry) result.carry = tf.concatenate(results.slice(0, carry.length))
  gradients.forEach(({ name }, i) => {
    const value = results[carry.length + i] as Tensor
    const size = elements(operands[name] as Target)
    result[name] =
      size === count ? value : size === 1 ? tf.total(value) : tf.sumRows(tf.reshape(value, count / size, size))
  })
  return result
}
