/**
 * Expressions as flat data: the form that graphs, programs and files hold, and that backends interpret or compile.
 *
 * A code is a list of operations on the results of earlier operations, which are referred to by index. Equal operations
 * occur once.
 */
import { aList, argument } from "../arguments.ts"
import {
  type BinaryOp,
  binary,
  binaryFunctions,
  binaryOps,
  constant,
  Expression,
  leaf,
  operandsOf,
  rewrite,
  route,
  select,
  type UnaryOp,
  unary,
  unaryFunctions,
  unaryOps,
} from "./expression.ts"

/**
 * One operation: its name, then its operands. Operands are indices of earlier operations, except for the number of a
 * `constant`, the name of a `leaf` and the edge of a `route`.
 */
export type CodeLine =
  | readonly ["constant", number]
  | readonly ["leaf", string]
  | readonly [UnaryOp, number]
  | readonly [BinaryOp, number, number]
  | readonly ["select", number, number, number]
  | readonly ["fire", number, number, number]
  | readonly ["route", string, number]

/** Operations in order of execution. */
export type Code = ReadonlyArray<CodeLine>

const operandCounts: Readonly<Record<string, number>> = {
  ...Object.fromEntries(unaryOps.map((op) => [op, 1])),
  ...Object.fromEntries(binaryOps.map((op) => [op, 2])),
  select: 3,
  fire: 3,
}

/** Whether `code` is well formed: known operations, allowed leaves, and every operation after its operands. */
export const isCode = (code: unknown, isLeaf: (name: string) => boolean): code is Code =>
  Array.isArray(code) &&
  Array.from(code).every((line: unknown, i) => {
    if (!Array.isArray(line)) return false
    const [op, ...given] = line as [unknown, ...Array<unknown>]
    const comesBefore = (place: unknown) => Number.isInteger(place) && (place as number) >= 0 && (place as number) < i
    if (op === "constant") return given.length === 1 && typeof given[0] === "number"
    if (op === "leaf") return given.length === 1 && typeof given[0] === "string" && isLeaf(given[0])
    if (op === "route") return given.length === 2 && typeof given[0] === "string" && comesBefore(given[1])
    return (
      typeof op === "string" &&
      Object.hasOwn(operandCounts, op) &&
      given.length === operandCounts[op] &&
      given.every(comesBefore)
    )
  })

/** The code that computes the expressions, and the index of each root in it. */
export const encode = (
  roots: ReadonlyArray<Expression>,
): { readonly code: Code; readonly places: ReadonlyArray<number> } => {
  const code: Array<CodeLine> = []
  const byText = new Map<string, number>()
  const byExpression = new Map<Expression, number>()
  const visit = (expression: Expression): number => {
    const known = byExpression.get(expression)
    if (known !== undefined) return known
    const line = lineOf(expression, operandsOf(expression).map(visit))
    // JSON has no −0 and no infinity.
    const text = line[0] === "constant" && Object.is(line[1], -0) ? "-0" : line.map(String).join(" ")
    const place = byText.get(text) ?? code.push(line) - 1
    byText.set(text, place)
    byExpression.set(expression, place)
    return place
  }
  const places = argument(roots, aList, "Expressions.encode").map(visit)
  return { code, places }
}

const lineOf = ({ form }: Expression, operands: ReadonlyArray<number>): CodeLine => {
  const [a, b, c] = operands as [number, number, number]
  switch (form.kind) {
    case "constant":
      return ["constant", form.value]
    case "leaf":
      return ["leaf", form.name]
    case "unary":
      return [form.op, a]
    case "binary":
      return [form.op, a, b]
    case "select":
      return ["select", a, b, c]
    case "fire":
      return ["fire", a, b, c]
    case "route":
      return ["route", form.edge, a]
    default:
      return form satisfies never
  }
}

/** The expression of each operation in a code, in order. */
export const decode = (code: Code): ReadonlyArray<Expression> => {
  const made: Array<Expression> = []
  const at = (place: number): Expression => made[place] as Expression
  for (const line of code) made.push(expressionOf(line, at))
  return made
}

const expressionOf = (line: CodeLine, at: (place: number) => Expression): Expression => {
  switch (line[0]) {
    case "constant":
      return constant(line[1])
    case "leaf":
      return leaf(line[1])
    case "select":
      return select(at(line[1]), at(line[2]), at(line[3]))
    case "fire":
      return new Expression({ kind: "fire", z: at(line[1]), slope: at(line[2]), primitive: at(line[3]) })
    case "route":
      return route(line[1], at(line[2]))
    default:
      return line.length === 2 ? unary(line[0], at(line[1])) : binary(line[0], at(line[1]), at(line[2]))
  }
}

/** Common subexpression elimination: equal subexpressions become one object, so each is differentiated once. */
export const shared = (roots: ReadonlyArray<Expression>): ReadonlyArray<Expression> => {
  const { code, places } = encode(roots)
  const made = decode(code)
  return places.map((place) => made[place] as Expression)
}

/**
 * Replaces what only differentiation needs: a spike becomes a comparison (in smooth mode, the surrogate's primitive), a
 * route becomes its operand.
 */
export const executable = (roots: ReadonlyArray<Expression>, smooth: boolean): ReadonlyArray<Expression> =>
  rewrite(argument(roots, aList, "Expressions.executable", "roots"), ({ form }, [a, , primitive]) => {
    if (form.kind === "route") return a as Expression
    if (form.kind !== "fire") return undefined
    return smooth ? (primitive as Expression) : (a as Expression).atLeast(0)
  })

/**
 * Scalar multiplications (including divisions and functions) and additions (including comparisons) of one evaluation of
 * a code.
 */
export const costOf = (code: Code): { readonly multiplications: number; readonly additions: number } => {
  let [multiplications, additions] = [0, 0]
  for (const [op] of code) {
    if (multiplying.has(op)) multiplications++
    else if (adding.has(op)) additions++
  }
  return { multiplications, additions }
}

const multiplying: ReadonlySet<string> = new Set([
  "multiply",
  "divide",
  "exp",
  "log",
  "sqrt",
  "tanh",
  "sigmoid",
  "atan",
])
const adding: ReadonlySet<string> = new Set(["add", "subtract", "minimum", "maximum", "atLeast", "greater"])

/** Number of elements interpreted at a time. */
const stripLength = 256

/**
 * Interprets an executable code for `count` elements, one strip at a time. `load` fills `out` with a leaf's values from
 * element `first` on; `store` receives the values of the `index`-th wanted operation.
 */
export const interpret = (
  code: Code,
  wanted: ReadonlyArray<number>,
  count: number,
  load: (leaf: string, first: number, out: Float32Array) => void,
  store: (index: number, first: number, values: Float32Array) => void,
): void => {
  const registers = code.map((line) => {
    const register = new Float32Array(stripLength)
    return line[0] === "constant" ? register.fill(line[1]) : register
  })
  for (let first = 0; first < count; first += stripLength) {
    const length = Math.min(stripLength, count - first)
    code.forEach((line, i) => {
      const out = registers[i] as Float32Array
      if (line[0] === "leaf") load(line[1], first, out.subarray(0, length))
      else if (line[0] !== "constant") run(line, registers, out, length)
    })
    wanted.forEach((place, i) => {
      store(i, first, (registers[place] as Float32Array).subarray(0, length))
    })
  }
}

const run = (line: CodeLine, registers: ReadonlyArray<Float32Array>, out: Float32Array, length: number): void => {
  const register = (i: number): Float32Array => registers[line[i] as number] as Float32Array
  const a = register(1)
  if (line[0] === "select") {
    const [b, c] = [register(2), register(3)]
    for (let i = 0; i < length; i++) out[i] = (a[i] !== 0 ? b[i] : c[i]) as number
  } else if (line.length === 3) {
    const f = binaryFunctions[line[0] as BinaryOp]
    const b = register(2)
    for (let i = 0; i < length; i++) out[i] = f(a[i] as number, b[i] as number)
  } else {
    const f = unaryFunctions[line[0] as UnaryOp]
    for (let i = 0; i < length; i++) out[i] = f(a[i] as number)
  }
}
