/**
 * The step of a node of expressions, if it consists of sums with constant factors:
 *
 *     Σ factor·value + spike·(Σ factor·value),   value: the input, a state before the step, 1
 *
 * Kinds of neurons are not considered, so custom neurons work like those of the library.
 */
import type { Expressions, Graph } from "@spikeroute/core"

/** One number for all elements, one per channel or one per element, indexed modulo length. */
export type Factor = Float64Array

/** Factors by value: `x`, `s.0`, `s.1`, and `1` for constants. */
export type Sum = ReadonlyMap<string, Factor>

interface Term {
  readonly still: Sum
  /** The part that a spike adds. */
  readonly fired: Sum
}

/** The step of a node. */
export interface Dynamics {
  /** The states after the step, in order, and the output. */
  readonly states: ReadonlyArray<Term>
  readonly output: Term
  /** The expression that is at least 0 if the node fires; `undefined` if it never does. */
  readonly fires: Sum | undefined
}

const none: Sum = new Map()

/** Applies a function elementwise, broadcasting the shorter factor. */
export const combine = (f: (a: number, b: number) => number, a: Factor, b: Factor): Factor =>
  Float64Array.from({ length: Math.max(a.length, b.length) }, (_, i) =>
    f(a[i % a.length] as number, b[i % b.length] as number),
  )

const zero = Float64Array.of(0)
const one = Float64Array.of(1)

/** The factor of a value in a sum; 0 if absent. */
export const factorOf = (sum: Sum, value: string): Factor => sum.get(value) ?? zero

/** a + scale·b, without values of factor 0. */
export const plus = (a: Sum, b: Sum, scale = 1): Sum =>
  new Map(
    [...new Set([...a.keys(), ...b.keys()])].flatMap((value) => {
      const factor = combine((x, y) => x + scale * y, factorOf(a, value), factorOf(b, value))
      return factor.some((each) => each !== 0) ? [[value, factor] as const] : []
    }),
  )

/** The value of a constant sum. */
export const constantOf = (sum: Sum): Factor | undefined =>
  [...sum.keys()].every((value) => value === "1") ? factorOf(sum, "1") : undefined

class NoSum extends Error {}

const product = (a: Sum, b: Sum): Sum => {
  if (a.size === 0 || b.size === 0) return none
  const [scale, other] = constantOf(a) === undefined ? [constantOf(b), a] : [constantOf(a), b]
  if (scale === undefined) throw new NoSum("it multiplies states or inputs with each other")
  return plus(none, new Map([...other].map(([value, factor]) => [value, combine((x, y) => x * y, scale, factor)])))
}

const unary: Readonly<Record<string, (a: number) => number>> = {
  negate: (a) => -a,
  absolute: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  tanh: Math.tanh,
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  atan: Math.atan,
}
const binary: Readonly<Record<string, (a: number, b: number) => number>> = {
  divide: (a, b) => a / b,
  minimum: Math.min,
  maximum: Math.max,
  atLeast: (a, b) => (a >= b ? 1 : 0),
  greater: (a, b) => (a > b ? 1 : 0),
}

const still = (sum: Sum): Term => ({ still: sum, fired: none })
const number = (value: Factor): Term => still(plus(none, new Map([["1", value]])))

/** The value of a term that must be constant for this operation. */
const needed = ({ still: sum, fired }: Term, op: string): Factor => {
  const value = fired.size === 0 ? constantOf(sum) : undefined
  if (value === undefined) throw new NoSum(`it takes ${op} of a state or input`)
  return value
}

const sum = (a: Term, b: Term, scale: number): Term => ({
  still: plus(a.still, b.still, scale),
  fired: plus(a.fired, b.fired, scale),
})

/** Since s·s = s, (a + s·b)(c + s·d) = ac + s·(ad + bc + bd). */
const times = (a: Term, b: Term): Term => ({
  still: product(a.still, b.still),
  fired: plus(plus(product(a.still, b.fired), product(a.fired, b.still)), product(a.fired, b.fired)),
})

/** Reads a code line by line. */
class Reader {
  /** The expression that is at least 0 if the node fires. */
  fires: Sum | undefined
  readonly terms: Array<Term> = []

  constructor(readonly parameter: (index: number) => Factor) {}

  at = (place: unknown): Term => this.terms[place as number] as Term

  private leaf(name: string): Term {
    if (name.startsWith("p")) return number(this.parameter(Number(name.slice(1))))
    if (/^x[1-9]/.test(name)) throw new NoSum("it has several inputs")
    return still(new Map([[name === "x0" ? "x" : name, one]]))
  }

  /** 1 if a condition, which may depend only on the spike, is not 0. */
  private choice({ still: without, fired }: Term): Term {
    const isSet = (sum: Sum) => needed(still(sum), "a condition").map((value) => (value === 0 ? 0 : 1))
    const quiet = number(isSet(without)).still
    return { still: quiet, fired: plus(number(isSet(plus(without, fired))).still, quiet, -1) }
  }

  read(line: Expressions.CodeLine): Term {
    const [op, a, b, c] = line as readonly [string, unknown, unknown, unknown]
    switch (op) {
      case "constant":
        return number(Float64Array.of(a as number))
      case "leaf":
        return this.leaf(a as string)
      case "route":
        return this.at(b)
      case "fire": {
        const { still: z, fired } = this.at(a)
        if (fired.size > 0 || this.fires !== undefined) throw new NoSum("it fires twice in a step")
        this.fires = z
        return { still: none, fired: new Map([["1", one]]) }
      }
      case "add":
        return sum(this.at(a), this.at(b), 1)
      case "subtract":
        return sum(this.at(a), this.at(b), -1)
      case "negate":
        return sum(still(none), this.at(a), -1)
      case "multiply":
        return times(this.at(a), this.at(b))
      case "divide":
        return times(this.at(a), number(needed(this.at(b), op).map((each) => 1 / each)))
      case "select":
        return sum(this.at(c), times(this.choice(this.at(a)), sum(this.at(b), this.at(c), -1)), 1)
      default: {
        const f = unary[op]
        if (f !== undefined) return number(needed(this.at(a), op).map(f))
        return number(combine(binary[op] as never, needed(this.at(a), op), needed(this.at(b), op)))
      }
    }
  }
}

/** Only the operations that the roots need, because the surrogate's slope is not a sum. */
const usedBy = (code: Expressions.Code, roots: ReadonlyArray<number>): ReadonlySet<number> => {
  const used = new Set(roots)
  for (let place = code.length - 1; place >= 0; place--) {
    if (!used.has(place)) continue
    const [op, ...operands] = code[place] as readonly [string, ...Array<number>]
    if (op === "constant" || op === "leaf") continue
    for (const operand of op === "fire" ? operands.slice(0, 1) : op === "route" ? operands.slice(1) : operands)
      used.add(operand)
  }
  return used
}

/**
 * The step of a node of expressions, or the reason why it is not a sum. `valuesOf` returns the values of a parameter, `nodeOf` the
 * node that computes a value from parameters.
 */
export const dynamicsOf = (
  node: Graph.Node,
  valuesOf: (parameter: string) => Float64Array | undefined,
  nodeOf: (name: string) => Graph.Node | undefined,
): Dynamics | string => {
  const cell = node.rule.cell?.(node.attributes)
  if (cell === undefined) return `NIR has no ${node.op}`
  const constant = (name: string): Factor => {
    const source = nodeOf(name)
    const found = valuesOf(name) ?? (source && constantStep(source))
    if (found === undefined) throw new NoSum(`the values of ${name} are not known`)
    return found
  }
  /** The value of a node that depends on parameters alone. */
  const constantStep = (source: Graph.Node): Factor => {
    const own = source.rule.cell?.(source.attributes)
    if (own === undefined) throw new NoSum(`${source.name} is computed by ${source.op}`)
    const reader = new Reader((j) => constant(source.inputs[own.inputs + j] as string))
    const input = number(constant(source.inputs[0] as string))
    for (const line of own.code) reader.terms.push(line[0] === "leaf" && line[1] === "x0" ? input : reader.read(line))
    return needed(reader.at(own.output), "a value")
  }
  try {
    const reader = new Reader((j) => constant(node.inputs[cell.inputs + j] as string))
    const used = usedBy(cell.code, [...cell.next, cell.output])
    for (const [place, line] of cell.code.entries())
      reader.terms.push(used.has(place) ? reader.read(line) : still(none))
    return { states: cell.next.map(reader.at), output: reader.at(cell.output), fires: reader.fires }
  } catch (error) {
    if (error instanceof NoSum) return error.message
    throw error
  }
}
