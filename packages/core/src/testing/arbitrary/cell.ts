/** Cells of random expressions: each value depends on earlier ones, and none is much larger than its operands. */
import * as fc from "fast-check"
import {
  absolute,
  atan,
  type Expression,
  exp,
  log,
  maximum,
  minimum,
  route,
  select,
  sigmoid,
  sqrt,
  tanh,
} from "../../expressions/expression.ts"
import { type ElementwiseOptions, elementwise, learn, type Per, type Setting } from "../../expressions/layer.ts"
import type * as Graph from "../../graph/index.ts"
import { delay, scale } from "../../layers.ts"
import { make, type NeuronOptions } from "../../neurons/define.ts"
import { size } from "../../shape.ts"
import type { SurrogateOptions } from "../../surrogates/index.ts"
import { surrogate } from "./surrogate.ts"

type Operation = (a: Expression, b: Expression, spike: (z: Expression) => Expression) => Expression

const operations: Readonly<Record<string, Operation>> = {
  sum: (a, b) => a.plus(b).times(0.5),
  difference: (a, b) => a.minus(b).times(0.5),
  product: (a, b) => a.times(tanh(b)),
  square: (a) => tanh(a).times(tanh(a)),
  quotient: (a, b) => a.dividedBy(absolute(b).plus(1)),
  minimum: (a, b) => minimum(a, b),
  maximum: (a, b) => maximum(a, b),
  choice: (a, b) => select(a.atLeast(b), atan(b), a),
  gate: (a, b) => a.times(a.greaterThan(b)),
  negated: (a) => a.negated(),
  absolute: (a) => absolute(a),
  exp: (a) => exp(minimum(a, 0.5)),
  log: (a) => log(absolute(a).plus(0.5)),
  sqrt: (a) => sqrt(a.times(a).plus(0.25)),
  tanh: (a) => tanh(a),
  sigmoid: (a) => sigmoid(a),
  atan: (a) => atan(a),
  spike: (a, b, spike) => spike(a.minus(b.times(0.5))),
}

/** A random cell, as data. */
export interface Cell {
  readonly piece: "cell"
  readonly states: ReadonlyArray<string>
  /** Initial value of the first state. */
  readonly initial: number
  /** Operations on earlier values, which are indexed modulo their number. */
  readonly operations: ReadonlyArray<{ readonly op: string; readonly a: number; readonly b: number }>
  readonly parameters: ReadonlyArray<{ readonly per: Per; readonly learnt: boolean }>
  /** Further inputs, all derived from the first. A cell with further inputs has no states. */
  readonly others: ReadonlyArray<"same" | "scaled" | "delayed">
  readonly spikes: boolean
  readonly surrogate: SurrogateOptions
}

/** Cells with zero to three states and parameters. */
export const cell = (): fc.Arbitrary<Cell> =>
  fc
    .record({
      piece: fc.constant("cell" as const),
      states: fc.subarray(["membrane", "current", "adaptation"]),
      initial: fc.constantFrom(0, 0.25),
      operations: fc.array(
        fc.record({
          op: fc.constantFrom(...Object.keys(operations)),
          a: fc.nat({ max: 9 }),
          b: fc.nat({ max: 9 }),
        }),
        { maxLength: 5 },
      ),
      parameters: fc.array(
        fc.record({
          per: fc.constantFrom("layer" as const, "channel" as const, "element" as const),
          learnt: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
      others: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        {
          weight: 1,
          arbitrary: fc.array(fc.constantFrom("same" as const, "scaled" as const, "delayed" as const), {
            maxLength: 2,
          }),
        },
      ),
      spikes: fc.boolean(),
      surrogate: surrogate(),
    })
    .map((made) => (made.others.length > 0 ? { ...made, states: [], spikes: false } : made))

/** Decays of the states. */
const decays = [0.75, 0.5, 0.875]

const settingOf = ({ shape }: Graph.Tensor, { per, learnt }: Cell["parameters"][number], j: number): Setting => {
  if (learnt) return learn(0.5, per)
  const count = { layer: 1, channel: shape.at(-1) ?? 1, element: size(shape) }[per]
  const values = Array.from({ length: count }, (_, i) => 0.25 * (((3 * i + j) % 7) - 2))
  return per === "layer" ? (values[0] as number) : values
}

/** The values of a cell in order of computation; they use at least all parameters. */
const valuesOf = (
  { operations: list }: Cell,
  [x, ...others]: readonly [Expression, ...ReadonlyArray<Expression>],
  parameters: ReadonlyArray<Expression>,
  spike: (z: Expression) => Expression,
): ReadonlyArray<Expression> => {
  const values = [parameters.reduce((sum, p, j) => sum.plus(j % 2 === 0 ? x.times(p) : p), x), ...others, ...parameters]
  const at = (place: number) => values[place % values.length] as Expression
  for (const { op, a, b } of list)
    values.push((operations[op] as Operation)(at(values.length - 1 - (a % values.length)), at(b), spike))
  values.push((values.at(-1) as Expression).plus(values[0] as Expression).times(0.5))
  return values
}

/** Applies a layer of cells. */
export const layerOf = (cell: Cell, x: Graph.Tensor, smooth: boolean): Graph.Tensor => {
  const parameters = Object.fromEntries(cell.parameters.map((each, j) => [`p${j}`, settingOf(x, each, j)]))
  if (cell.others.length > 0) {
    const other = { same: () => x, scaled: () => x.pipe(scale(-0.5)), delayed: () => x.pipe(delay({ steps: 1 })) }
    const options: ElementwiseOptions<string> = { parameters, inputs: cell.others.map((kind) => other[kind]()) }
    const body = (first: Expression, p: Readonly<Record<string, Expression>>, ...others: ReadonlyArray<Expression>) => {
      const noSpike = (z: Expression) => sigmoid(z)
      const mixed = [first, ...others].reduce((sum, each) => sum.plus(each))
      return (valuesOf(cell, [first, ...others], Object.values(p), noSpike).at(-1) as Expression).plus(mixed.times(0.5))
    }
    return x.pipe(elementwise("cell", body, options))
  }
  const neuron = make<string, string>("cell", {
    parameters,
    states: cell.states,
    initial: cell.states[0] === undefined ? {} : { [cell.states[0]]: cell.initial },
    step: ({ x, before, p, spike }) => {
      const values = valuesOf(cell, [x, ...Object.values(before)], Object.values(p), spike)
      const states: Record<string, Expression> = {}
      for (const [k, state] of cell.states.entries()) {
        const kept = decays[k] as number
        const added = (values.at(-1 - k) ?? x).plus(k === 0 ? x : 0)
        // The contribution to a single state may be an edge of its own.
        const led = k === 0 ? added : route("inner", added)
        states[state] = (before[state] as Expression).times(kept).plus(led.times(1 - kept))
      }
      const last = values.at(-1) as Expression
      const [first] = cell.states
      if (!cell.spikes)
        return { states, output: first === undefined ? last : last.plus(states[first] as Expression).times(0.5) }
      const u = first === undefined ? last : (states[first] as Expression)
      const output = spike(u.minus(0.25))
      if (first !== undefined) states[first] = u.minus(route("reset", output).times(0.25))
      return { states, output }
    },
  })
  const firing: NeuronOptions = { surrogate: cell.surrogate, smooth }
  return x.pipe(neuron(firing as Parameters<typeof neuron>[0]))
}
