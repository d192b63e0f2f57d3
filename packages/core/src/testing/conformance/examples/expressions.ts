/** Examples for the kernels that run expressions: all operations, all kinds of operands, and the codes of neurons. */
import { type Cell, unfold } from "../../../expressions/cell.ts"
import { type Code, encode, executable, shared } from "../../../expressions/code.ts"
import * as E from "../../../expressions/expression.ts"
import { type Optimizer, optimizers } from "../../../optimizers/index.ts"
import type { Shape } from "../../../shape.ts"
import { defaults, expressionOf } from "../../../surrogates/index.ts"
import {
  cycle,
  type Draw,
  type Example,
  type Examples,
  extreme,
  huge,
  normal,
  notFinite,
  output,
  spikes,
  uniform,
} from "../example.ts"
import { neuronsBackward, neuronsForward } from "./neurons.ts"

const shapes: ReadonlyArray<Shape> = [
  [1, 1],
  [3, 5],
  [1, 3, 5, 7],
  [2, 3, 2, 33],
  [2, 600],
]
const usual = shapes[2] as Shape

/** Ordinary values, and values at which operations change their behaviour. */
const edges = [0, -0, 1, -1, 0.5, -2.25, 1e-6, -30, 30, 88, 1e20, -1e20, 3, 0.99999994, 1.0000001]

const plain = (roots: ReadonlyArray<E.Expression>) => encode(executable(shared(roots), false))

const one = (name: string, root: E.Expression, operands: Readonly<Record<string, Draw>>, shape: Shape): Example => {
  const { code, places } = plain([root])
  return {
    name: `${name} ${shape.join("×")}`,
    attributes: { code, state: [], y: places[0] },
    operands: { ...operands, y: output(shape) },
  }
}

const x = E.leaf("x0")
const other = E.leaf("x1")
const p = E.leaf("p0")

/** Operations with exact results, and operations with results close to the reference's. */
const operations: ReadonlyArray<
  readonly [string, (a: E.Expression, b: E.Expression) => E.Expression, positive?: true]
> = [
  ["a + b", (a, b) => a.plus(b)],
  ["a − b", (a, b) => a.minus(b)],
  ["a·b", (a, b) => a.times(b)],
  ["a/b", (a, b) => a.dividedBy(b), true],
  ["min", (a, b) => E.minimum(a, b)],
  ["max", (a, b) => E.maximum(a, b)],
  ["a ≥ b", (a, b) => a.atLeast(b)],
  ["a > b", (a, b) => a.greaterThan(b)],
  ["a > 0 ? a : b", (a, b) => E.select(a.greaterThan(0), a, b)],
  ["−a", (a) => a.negated()],
  ["|a|", (a) => E.absolute(a)],
  ["eᵃ", (a) => E.exp(E.minimum(a, 30))],
  ["ln a", (a) => E.log(a), true],
  ["√a", (a) => E.sqrt(a), true],
  ["tanh", (a) => E.tanh(a)],
  ["σ", (a) => E.sigmoid(a)],
  ["atan", (a) => E.atan(a)],
]

const triangle = expressionOf(defaults.triangle)

const cell = (
  states: ReadonlyArray<string>,
  parameters: number,
  step: (s: ReadonlyArray<E.Expression>) => { readonly next: ReadonlyArray<E.Expression>; readonly y: E.Expression },
): Cell => {
  const { next, y } = step(states.map((_, k) => E.leaf(`s.${k}`)))
  const { code, places } = encode(shared([...next, y]))
  return {
    inputs: 1,
    parameters,
    states,
    initial: states.map(() => 0),
    code,
    next: places.slice(0, -1),
    output: places.at(-1) as number,
  }
}

const lif = (surrogate: E.SurrogateExpression, decay: E.Value) =>
  cell(["membrane"], typeof decay === "number" ? 0 : 1, ([v]) => {
    const u = v!.times(decay).plus(x)
    const s = E.fire(u.minus(1), surrogate)
    return { next: [u.minus(E.route("reset", s))], y: s }
  })

const adaptive = cell(["membrane", "adaptation", "spike"], 1, ([v, a, s]) => {
  const adaptation = a!.times(p).plus(s!)
  const u = v!.times(0.7).plus(x)
  const y = E.fire(u.minus(adaptation.times(0.5).plus(1)), triangle)
  return { next: [u.minus(E.route("reset", y)), adaptation, y], y }
})

/** Both directions of a cell. */
const stepForward = (name: string, cell: Cell, shape: Shape, parameter?: Draw): ReadonlyArray<Example> => {
  const { forward, planes } = unfold(cell)
  const stored = planes === 1 ? shape : [planes, ...shape]
  const example: Example = {
    name: `${name} ${shape.join("×")}`,
    attributes: { ...forward },
    operands: {
      x0: normal(shape, 1.5),
      before: normal(stored, 1.5),
      ...(parameter ? { p0: parameter } : {}),
      state: output(stored),
      y: output(shape, "spikes"),
    },
  }
  return [example, { ...example, name: `${example.name}, in place`, shared: ["before", "state"] }]
}

const stepBackward = (
  name: string,
  cell: Cell,
  shape: Shape,
  cut: ReadonlyArray<string>,
  parameter?: Draw,
): Example => {
  const { backward, planes } = unfold(cell)
  const left = cell.states.filter((edge) => !cut.includes(edge)).length
  const attributes = backward({
    isCut: (edge) => cut.includes(edge),
    output: true,
    carried: left > 0,
    inputs: [true],
    parameters: parameter ? [true] : [],
  })
  const read = new Set(attributes.code.flatMap(([op, leaf]) => (op === "leaf" ? [String(leaf).split(".")[0]] : [])))
  const plane = (count: number) => (count === 1 ? shape : [count, ...shape])
  return {
    name: `${name} ${shape.join("×")}, cut ${cut.join(", ") || "nothing"}`,
    attributes: { ...attributes },
    operands: {
      ...(read.has("x0") ? { x0: normal(shape) } : {}),
      ...(read.has("before") ? { before: normal(plane(planes), 1.5) } : {}),
      ...(read.has("state") ? { state: normal(plane(planes), 1.5) } : {}),
      ...(parameter
        ? {
            p0: parameter,
            dp0: (key) => ({ ...parameter(key), data: new Float32Array(parameter(key).data.length).fill(0.5) }),
          }
        : {}),
      dy: normal(shape),
      ...(left > 0 ? { carry: normal(plane(left)) } : {}),
      dx0: output(shape),
    },
  }
}

/** The update of an optimiser. */
const update = ({ name, states, update, numbers }: Optimizer, shape: Shape, n: number, gradients = 1): Example => {
  const stored = states.length === 1 ? shape : [states.length, ...shape]
  return {
    name: `${name} ${shape.join("×") || "of one number"}, update ${n}, gradients of ${gradients}`,
    attributes: { ...update(x) },
    operands: {
      x0: normal(shape, gradients),
      x1: normal(shape),
      before: n === 1 ? cycle(stored, 0) : uniform(stored, 0, gradients),
      h: cycle([numbers(1e-3, n).length], ...numbers(1e-3, n)),
      state: output(stored),
      y: output(shape),
    },
    shared: ["before", "state"],
  }
}

const channels = usual.at(-1) as number
const parameters: ReadonlyArray<readonly [string, Shape]> = [
  ["one number", []],
  ["one a channel", [channels]],
  ["one an element", usual.slice(1)],
]

const constants: Code = [
  ["constant", 0.25],
  ["constant", -3],
]

/** Two planes, the second first. */
const exchange = (operand: string): Code => [
  ["leaf", `${operand}.1`],
  ["leaf", `${operand}.0`],
]

export const expressions = {
  "elementwise.forward": [
    ...neuronsForward,
    ...operations.flatMap(([name, root, positive]) => [
      one(
        name,
        root(x, other),
        {
          x0: positive ? uniform(usual, 0.1, 4) : normal(usual),
          x1: positive ? uniform(usual, 0.1, 4) : normal(usual),
        },
        usual,
      ),
      ...(positive
        ? []
        : [
            one(
              `${name}, at its edges`,
              root(x, other),
              { x0: cycle(usual, ...edges), x1: cycle(usual, ...edges.slice(3)) },
              usual,
            ),
          ]),
    ]),
    ...shapes.flatMap((shape) => [
      one("(x₀ + x₁)·½ of spikes", x.plus(other).times(0.5), { x0: spikes(shape), x1: spikes(shape) }, shape),
      ...stepForward("LIF", lif(triangle, 0.5), shape),
    ]),
    ...parameters.flatMap(([name, shape]) => [
      one(`x·p, ${name}`, x.times(p), { x0: normal(usual), p0: normal(shape) }, usual),
      one(
        `p ≥ x ? p + q : x, ${name}`,
        E.select(p.atLeast(x), p.plus(E.leaf("p1")), x),
        { x0: cycle(usual, 0.5, 1e-6, 2, -1), p0: cycle(shape, 0.5, 0, 1.5), p1: normal([]) },
        usual,
      ),
      one(`p·2, ${name}`, p.times(2), { p0: normal(shape) }, usual),
      ...stepForward(`adaptive, ${name}`, adaptive, usual, uniform(shape, 0.2, 0.9)),
    ]),
    one(
      "x − h₁·x₁",
      x.minus(E.leaf("h.1").times(other)),
      { x0: normal(usual), x1: normal(usual), h: normal([3]) },
      usual,
    ),
    { ...one("x₁ + x₀ onto x₁", other.plus(x), { x0: normal(usual), x1: normal(usual) }, usual), shared: ["x1", "y"] },
    one("x₀ − x₁ of one spike each", x.minus(other.times(3)), { x0: spikes([1, 1], 1), x1: spikes([1, 1], 1) }, [1, 1]),
    ...[...extreme, huge, ...notFinite].map(([kind, draw]) =>
      one(
        `(x₀ + x₁)·p of ${kind}`,
        x.plus(other).times(p),
        { x0: draw(usual), x1: normal(usual), p0: cycle([], -0.7) },
        usual,
      ),
    ),
    ...shapes.map((shape) =>
      one("dropout", E.select(other, x.dividedBy(0.7), 0), { x0: normal(shape), x1: spikes(shape, 0.7) }, shape),
    ),
    ...Object.values(optimizers).flatMap((kind) => [
      ...[[], [3], [3, 3, 5, 7]].flatMap((shape) =>
        [1, 1000].map((n) => update(kind({ weightDecay: 0.01 }), shape, n)),
      ),
      ...[0, 1e-18, 1e12].map((gradients) => update(kind(), [5, 7], 2, gradients)),
    ]),
    {
      name: "planes that change places, in place",
      attributes: { code: exchange("before"), state: [0, 1], y: -1 },
      operands: { before: normal([2, 3, 500]), state: output([2, 3, 500]) },
      shared: ["before", "state"],
    },
    {
      name: "constants",
      attributes: { code: constants, state: [0, 1], y: -1 },
      operands: { state: output([2, 3, 5]) },
    },
  ],
  "elementwise.backward": [
    ...neuronsBackward,
    ...parameters.flatMap(([name, shape]) => [
      stepBackward(`LIF, decay: ${name}`, lif(triangle, p), usual, [], uniform(shape, 0.2, 0.9)),
      stepBackward(`adaptive, ${name}`, adaptive, usual, [], uniform(shape, 0.2, 0.9)),
      stepBackward(`adaptive, ${name}`, adaptive, usual, ["membrane"], uniform(shape, 0.2, 0.9)),
    ]),
    {
      name: "planes that change places",
      attributes: { code: exchange("carry"), carry: [0, 1], dx: [], dp: [] },
      operands: { carry: normal([2, 3, 500]) },
    },
    ...shapes.flatMap((shape) =>
      [spikes(shape), normal(shape)].flatMap((drawn, i) => [
        {
          name: `Σ (x₀ − x₁)² of ${i === 0 ? "spikes" : "numbers"} ${shape.join("×")}`,
          attributes: {
            code: encode([x.minus(other).times(x.minus(other))]).code,
            ...{ carry: [], dx: [], dp: [3] },
          },
          operands: { x0: drawn, x1: normal(shape), dp0: output([1]) },
        },
        {
          name: `∂x₀ = x₁·p of ${shape.join("×")} without a gradient that arrives, ${i}`,
          attributes: { code: encode([other.times(p)]).code, ...{ carry: [], dx: [2], dp: [] } },
          operands: { x1: drawn, p0: normal([1]), dx0: output(shape) },
        },
      ]),
    ),
    stepBackward("adaptive", adaptive, [4, 700], [], uniform([700], 0.2, 0.9)),
  ],
} satisfies Partial<Examples>
