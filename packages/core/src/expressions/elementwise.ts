/**
 * The two kernels that run expressions.
 *
 * `elementwise.forward` computes new states and an output for every element. `elementwise.backward` computes gradients;
 * gradients of parameters are summed over the elements that share a parameter. Codes name their leaves by operand:
 * `x0`, `p1`. Plane k of an operand that holds several values per element is `before.k`; the k-th number of `h` is
 * `h.k`.
 *
 * An operand of n numbers is broadcast: element i reads number i mod n. So n is 1 (shared by all), the number of
 * channels, or the number of elements of a sample.
 */
import { addCost, elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { averagePoolBackwardReference } from "../ops/average-pool.ts"
import { averagingTiles } from "../ops/window.ts"
import { type Shape, size } from "../shape.ts"
import { type Code, costOf, encode, interpret } from "./code.ts"
import type { Expression } from "./expression.ts"

/** The largest number of inputs of an expression. */
export const mostInputs = 3
/** The largest number of parameters of an expression. */
export const mostParameters = 8

type Operands = Readonly<Record<string, Operand | undefined>>

/** Fills `out` with a leaf's values, starting at element `first`. A plane holds `count` elements. */
const load = (operands: Operands, count: number, leaf: string, first: number, out: Float32Array): void => {
  const [name = "", plane] = leaf.split(".")
  const { data } = operands[name] as Operand
  if (name === "h") {
    out.fill(data[Number(plane)]!)
    return
  }
  const offset = plane === undefined ? 0 : Number(plane) * count
  const period = plane === undefined ? data.length : count
  for (let i = 0; i < out.length; i++) out[i] = data[offset + ((first + i) % period)]!
}

/** Attributes of `elementwise.forward`. */
export interface ElementwiseForward {
  readonly code: Code
  /** Index in `code` of the value of each plane of `state`. */
  readonly state: ReadonlyArray<number>
  /** Index in `code` of the value of `y`; −1 if there is no output. */
  readonly y: number
}

/** state[k] ← code[state[k]],  y ← code[y]. An output may share memory with an input. */
export const elementwiseForward = kernel<ElementwiseForward>()({
  name: "elementwise.forward",
  operands: {
    x0: "read?",
    x1: "read?",
    x2: "read?",
    before: "read?",
    p0: "read?",
    p1: "read?",
    p2: "read?",
    p3: "read?",
    p4: "read?",
    p5: "read?",
    p6: "read?",
    p7: "read?",
    h: "read?",
    state: "write?",
    y: "write?",
  },
})

/** y ← x0 */
export const identity: ElementwiseForward = { code: [["leaf", "x0"]], state: [], y: 0 }

/** y ← x1 + x0 */
export const summed: ElementwiseForward = {
  code: [
    ["leaf", "x1"],
    ["leaf", "x0"],
    ["add", 0, 1],
  ],
  state: [],
  y: 2,
}

/** y ← expression */
export const storing = (expression: Expression): ElementwiseForward => {
  const { code, places } = encode([expression])
  return { code, state: [], y: places[0] as number }
}

/** dx0 += expression */
export const adding = (expression: Expression): ElementwiseBackward => {
  const { code, places } = encode([expression])
  return { code, carry: [], dx: places, dp: [] }
}

export const elementwiseForwardReference: Reference<typeof elementwiseForward> = {
  cost: ({ state, y }, attributes) => {
    const { multiplications, additions } = costOf(attributes.code)
    const count = y ? size(y.shape) : size(state!.shape) / attributes.state.length
    return elementwise(count, multiplications, additions)
  },
  run: (operands, { code, state: planes, y: place }) => {
    const { state, y } = operands
    const count = y ? y.data.length : state!.data.length / planes.length
    interpret(
      code,
      place < 0 ? planes : [...planes, place],
      count,
      (leaf, first, out) => load(operands, count, leaf, first, out),
      (i, first, values) =>
        i < planes.length ? state!.data.set(values, i * count + first) : y!.data.set(values, first),
    )
  },
}

/** Attributes of `elementwise.backward`. */
export interface ElementwiseBackward {
  readonly code: Code
  /**
   * Index in `code` of the value of each plane of `carry`, and of the gradient of each input and parameter; −1 if a
   * gradient is not wanted.
   */
  readonly carry: ReadonlyArray<number>
  readonly dx: ReadonlyArray<number>
  readonly dp: ReadonlyArray<number>
  readonly pool?: PoolBehind
}

/**
 * An average pool that follows the elements, fused into their backward direction: adjacent windows of `kernelSize` ×
 * `kernelSize` pixels on images of height × width. `dy` is then the gradient of the pool's output.
 */
export interface PoolBehind {
  readonly kernelSize: number
  readonly height: number
  readonly width: number
}

/** The shape of the pool's input, from that of its output. */
const before = ([batch = 1, , , channels = 1]: Shape, { height, width }: PoolBehind): Shape => [
  batch,
  height,
  width,
  channels,
]

/** The gradient of the pool's input from that of its output. */
const spread = (outputGradient: Operand, pool: PoolBehind): Operand => {
  const shape = before(outputGradient.shape, pool)
  const inputGradient = { shape, data: new Float32Array(size(shape)) }
  averagePoolBackwardReference.run({ outputGradient, inputGradient }, averagingTiles(pool.kernelSize))
  return inputGradient
}

/** carry[k] ← code[carry[k]],  dx[i] += code[dx[i]],  dp[j] += Σ code[dp[j]] over the elements that share the parameter. */
export const elementwiseBackward = kernel<ElementwiseBackward>()({
  name: "elementwise.backward",
  operands: {
    x0: "read?",
    x1: "read?",
    x2: "read?",
    before: "read?",
    state: "read?",
    p0: "read?",
    p1: "read?",
    p2: "read?",
    p3: "read?",
    p4: "read?",
    p5: "read?",
    p6: "read?",
    p7: "read?",
    dy: "read?",
    carry: "update?",
    dx0: "gradient?",
    dx1: "gradient?",
    dx2: "gradient?",
    dp0: "gradient?",
    dp1: "gradient?",
    dp2: "gradient?",
    dp3: "gradient?",
    dp4: "gradient?",
    dp5: "gradient?",
    dp6: "gradient?",
    dp7: "gradient?",
  },
})

export const elementwiseBackwardReference: Reference<typeof elementwiseBackward> = {
  cost: (operands, attributes) => {
    const { multiplications, additions } = costOf(attributes.code)
    const own = elementwise(elementsOf(operands, attributes), multiplications, additions)
    const { dy } = operands
    const { pool } = attributes
    if (!pool || !dy) return own
    const inputGradient = { ...dy, shape: before(dy.shape, pool) }
    return addCost(
      own,
      averagePoolBackwardReference.cost({ outputGradient: dy, inputGradient }, averagingTiles(pool.kernelSize)),
    )
  },
  run: (given, attributes) => {
    const { code, carry, dx, dp, pool } = attributes
    const count = elementsOf(given, attributes)
    const operands = pool && given.dy ? { ...given, dy: spread(given.dy, pool) } : given
    const all = operands as Operands
    const sums = dp.map((_, j) => new Float64Array(all[`dp${j}`]?.data.length ?? 0))
    const wanted = [
      ...carry.map((place, k) => ({
        place,
        to: (first: number, values: Float32Array) => operands.carry!.data.set(values, k * count + first),
      })),
      ...dx.map((place, i) => ({
        place,
        to: (first: number, values: Float32Array) => {
          const { data } = all[`dx${i}`] as Operand
          for (let e = 0; e < values.length; e++) data[first + e]! += values[e]!
        },
      })),
      ...dp.map((place, j) => ({
        place,
        to: (first: number, values: Float32Array) => {
          const sum = sums[j] as Float64Array
          for (let e = 0; e < values.length; e++) sum[(first + e) % sum.length]! += values[e]!
        },
      })),
    ].filter(({ place }) => place >= 0)
    interpret(
      code,
      wanted.map(({ place }) => place),
      count,
      (leaf, first, out) => load(all, count, leaf, first, out),
      (i, first, values) => wanted[i]!.to(first, values),
    )
    sums.forEach((sum, j) => {
      sum.forEach((value, k) => {
        all[`dp${j}`]!.data[k]! += value
      })
    })
  },
}

/** The number of elements of a backward pass: that of the gradients that arrive, else that of `dx0` or `x0`. */
const elementsOf = (
  { dy, carry, dx0, x0 }: { readonly [K in "dy" | "carry" | "dx0" | "x0"]?: { readonly shape: Shape } | undefined },
  attributes: ElementwiseBackward,
): number => {
  if (dy) return size(attributes.pool ? before(dy.shape, attributes.pool) : dy.shape)
  return carry ? size(carry.shape) / attributes.carry.length : size((dx0 ?? x0)!.shape)
}
