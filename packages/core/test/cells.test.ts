/** Cells: reverse mode is held against central differences in the smooth mode, what is stored against what a person would store. */
import { describe, expect, test } from "bun:test"
import { type Cell, unfold } from "../src/expressions/cell.ts"
import { encode, interpret, shared } from "../src/expressions/code.ts"
import * as E from "../src/expressions/expression.ts"

const sigmoid: E.SurrogateExpression = {
  slope: (z) => {
    const s = E.sigmoid(z.times(4))
    return s.times(E.of(1).minus(s)).times(4)
  },
  primitive: (z) => E.sigmoid(z.times(4)),
}

type Step = (
  x: ReadonlyArray<E.Expression>,
  s: ReadonlyArray<E.Expression>,
  p: ReadonlyArray<E.Expression>,
) => { readonly states: ReadonlyArray<E.Value>; readonly output: E.Expression }

const cell = (inputs: number, parameters: number, states: ReadonlyArray<string>, step: Step, smooth = false): Cell => {
  const leaves = (count: number, name: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => E.leaf(name(i)))
  const { states: next, output } = step(
    leaves(inputs, (i) => `x${i}`),
    leaves(states.length, (k) => `s.${k}`),
    leaves(parameters, (j) => `p${j}`),
  )
  const { code, places } = encode(shared([...next.map(E.of), output]))
  return {
    inputs,
    parameters,
    states,
    initial: states.map(() => 0),
    code,
    next: places.slice(0, -1),
    output: places.at(-1)!,
    ...(smooth ? { smooth: true } : {}),
  }
}

const lif: Step = ([x], [v]) => {
  const u = v!.times(0.75).plus(x!)
  const s = E.fire(u.minus(1), sigmoid)
  return { states: [u.minus(E.route("reset", s))], output: s }
}
const plif: Step = ([x], [v], [w]) => {
  const u = v!.times(E.sigmoid(w!)).plus(x!)
  const s = E.fire(u.minus(1), sigmoid)
  return { states: [u.times(E.of(1).minus(E.route("reset", s)))], output: s }
}
const currentBased: Step = ([x], [i0, v]) => {
  const i = i0!.times(0.6).plus(x!)
  const u = v!.times(0.7).plus(i)
  const s = E.fire(u.minus(1), sigmoid)
  return { states: [i, u.minus(E.route("reset", s))], output: s }
}
const adaptive: Step = ([x], [v, a0, s0]) => {
  const a = a0!.times(0.8).plus(s0!)
  const u = v!.times(0.7).plus(x!)
  const s = E.fire(u.minus(a.times(0.5).plus(1)), sigmoid)
  return { states: [u.minus(E.route("reset", s)), a, s], output: s }
}

describe("stored values", () => {
  test("LIF stores the potential before the reset, and the backward direction needs nothing else", () => {
    const { planes, needs, spikes, decay, rest } = unfold(cell(1, 0, ["membrane"], lif))
    expect({ planes, spikes, rest, decay: decay(0) }).toEqual({ planes: 1, spikes: true, rest: [0], decay: 0.75 })
    expect(needs).toEqual({ state: true, before: false, inputs: new Set() })
  })

  test("PLIF stores the same; the gradient of the time constant reads the previous potential", () => {
    const { planes, needs } = unfold(cell(1, 1, ["membrane"], plif))
    expect(planes).toBe(1)
    expect(needs).toEqual({ state: true, before: true, inputs: new Set() })
  })

  test("adaptive neurons with three states store two values", () => {
    expect(unfold(cell(1, 0, ["membrane", "adaptation", "spikes"], adaptive)).planes).toBe(2)
  })

  test("neurons with a current store two values", () => {
    expect(unfold(cell(1, 0, ["current", "membrane"], currentBased)).planes).toBe(2)
  })

  test("a state whose initial value is not represented by stored zeros is stored itself", () => {
    const bursting: Cell = {
      ...cell(1, 0, ["membrane"], ([x], [v]) => {
        const u = v!.plus(x!)
        const s = E.fire(u.plus(1), sigmoid)
        return { states: [u.minus(s)], output: s }
      }),
    }
    expect(unfold({ ...bursting, initial: [0.5] }).rest).toEqual([0.5])
  })
})

/** Runs T steps and gives the sum of all outputs, weighted, of one element. */
const run = (cell: Cell, x: Float64Array, p: ReadonlyArray<number>, weights: ReadonlyArray<number>) => {
  const { forward, planes, rest } = unfold(cell)
  const steps = weights.length
  let before = Float32Array.from(rest)
  const states: Array<Float32Array> = []
  let sum = 0
  for (let t = 0; t < steps; t++) {
    const state = new Float32Array(planes)
    const values: Record<string, number> = { x0: x[t]! }
    before.forEach((value, k) => {
      values[`before.${k}`] = value
    })
    p.forEach((value, j) => {
      values[`p${j}`] = value
    })
    interpret(
      forward.code,
      [...forward.state, forward.y],
      1,
      (leaf, _, out) => out.fill(values[leaf]!),
      (i, _, [value]) => {
        if (i < planes) state[i] = value!
        else sum += weights[t]! * value!
      },
    )
    states.push(state)
    before = state
  }
  return { sum, states }
}

/** Gradients of that sum by the backward code. */
const gradients = (cell: Cell, x: Float64Array, p: ReadonlyArray<number>, weights: ReadonlyArray<number>) => {
  const { states } = run(cell, x, p, weights)
  const { rest } = unfold(cell)
  const code = unfold(cell).backward({
    isCut: () => false,
    output: true,
    carried: true,
    inputs: [true],
    parameters: p.map(() => true),
  })
  let carry = cell.states.map(() => 0)
  const dx: Array<number> = []
  const dp = p.map(() => 0)
  for (let t = weights.length - 1; t >= 0; t--) {
    const values: Record<string, number> = { x0: x[t]!, dy: weights[t]! }
    for (const [k, value] of states[t]!.entries()) values[`state.${k}`] = value
    for (const [k, value] of (states[t - 1] ?? Float32Array.from(rest)).entries()) values[`before.${k}`] = value
    for (const [k, value] of carry.entries()) values[`carry.${k}`] = value
    for (const [j, value] of p.entries()) values[`p${j}`] = value
    const next = [...carry]
    const wanted = [...code.carry, ...code.dx, ...code.dp]
    interpret(
      code.code,
      wanted,
      1,
      (leaf, _, out) => out.fill(values[leaf]!),
      (i, _, [value]) => {
        if (i < next.length) next[i] = value!
        else if (i === next.length) dx[t] = value!
        else dp[i - next.length - 1]! += value!
      },
    )
    carry = next
  }
  return { dx, dp }
}

describe.each([
  ["LIF, soft reset", lif, [] as ReadonlyArray<number>, ["membrane"]],
  ["PLIF, hard reset", plif, [0.3], ["membrane"]],
  ["current-based LIF", currentBased, [], ["current", "membrane"]],
  ["adaptive LIF", adaptive, [], ["membrane", "adaptation", "spikes"]],
])("smooth %s", (_, step, p, states) => {
  test("reverse mode through five steps equals central differences", () => {
    const smooth = cell(1, p.length, states, step, true)
    const x = Float64Array.of(0.8, 0.3, 1.1, -0.2, 0.6)
    const weights = [0.5, -1, 0.7, 0.2, 1.3]
    const { dx, dp } = gradients(smooth, x, p, weights)
    const h = 1e-2
    for (let t = 0; t < x.length; t++) {
      const at = (d: number) =>
        run(
          smooth,
          x.map((value, i) => (i === t ? value + d : value)),
          p,
          weights,
        ).sum
      expect(dx[t]!).toBeCloseTo((8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h), 3)
    }
    for (let j = 0; j < p.length; j++) {
      const at = (d: number) =>
        run(
          smooth,
          x,
          p.map((value, i) => (i === j ? value + d : value)),
          weights,
        ).sum
      expect(dp[j]!).toBeCloseTo((8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h), 3)
    }
  })
})

test("cut edges carry no gradient", () => {
  const made = unfold(cell(1, 0, ["current", "membrane"], currentBased))
  const request = { output: true, carried: true, inputs: [true], parameters: [] }
  expect(made.backward({ ...request, isCut: (edge) => edge === "membrane" }).carry).toHaveLength(1)
  expect(made.backward({ ...request, isCut: () => true }).carry).toHaveLength(0)
})
