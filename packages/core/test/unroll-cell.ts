/**
 * The tape's interpreter of cells: what a node of expressions computes of one element at one time step.
 *
 * It reads the lists of operations that graphs hold, and knows their meaning from the doc comments alone: on float64, without any
 * derivative but those of single operations.
 */
import type { Scalar, Tape } from "./tape.ts"

type Line = ReadonlyArray<string | number>

/** A cell, as the graph holds it. */
export interface CellAttributes {
  readonly inputs: number
  readonly parameters: number
  readonly states: ReadonlyArray<string>
  readonly initial: ReadonlyArray<number>
  readonly code: ReadonlyArray<Line>
  readonly next: ReadonlyArray<number>
  readonly output: number
  readonly smooth?: true
}

export interface CellRun {
  readonly tape: Tape
  /** `x0` …, `p0` …, `s.0` … */
  readonly leaf: (name: string) => Scalar
  readonly isCut: (edge: string) => boolean
  /** Told how far a choice is from falling otherwise. */
  readonly near: (distance: number) => void
}

/** The new states and the output of one element. */
export const runCell = (
  { code, next, output, smooth }: CellAttributes,
  { tape, leaf, isCut, near }: CellRun,
): { readonly states: ReadonlyArray<Scalar>; readonly y: Scalar } => {
  const value = (a: Scalar) => tape.value(a)
  /** `isConstant`: within a slope or a primitive, whose numbers count, but not how they change. */
  const evaluate = (isConstant: boolean, known: Map<number, Scalar>) => {
    const kink = (distance: number, isJump = false): void => {
      if (distance !== 0 && (isJump || !isConstant)) near(Math.abs(distance))
    }
    const at = (place: number): Scalar => {
      const found = known.get(place)
      if (found !== undefined) return found
      const made = compute(code[place] as Line)
      known.set(place, made)
      return made
    }
    const compute = ([op, ...given]: Line): Scalar => {
      const a = () => at(given[0] as number)
      const b = () => at(given[1] as number)
      switch (op) {
        case "constant":
          return tape.number(given[0] as number)
        case "leaf":
          return leaf(given[0] as string)
        case "route": {
          const passed = at(given[1] as number)
          return isCut(given[0] as string) ? tape.detach(passed) : passed
        }
        case "fire": {
          const z = a()
          const slope = value(evaluate(true, new Map())(given[1] as number))
          if (smooth) return tape.map(z, value(evaluate(true, new Map())(given[2] as number)), slope)
          near(Math.abs(value(z)))
          return tape.map(z, value(z) >= 0 ? 1 : 0, slope)
        }
        case "select":
          return value(a()) !== 0 ? b() : at(given[2] as number)
        case "add":
          return tape.add(a(), b())
        case "subtract":
          return tape.subtract(a(), b())
        case "multiply":
          return tape.multiply(a(), b())
        case "divide":
          return tape.multiply(a(), tape.power(b(), -1))
        case "minimum":
        case "maximum": {
          // Of equal ones the second takes the gradient.
          const gap = value(a()) - value(b())
          kink(gap)
          return (op === "minimum" ? gap < 0 : gap > 0) ? a() : b()
        }
        case "atLeast":
        case "greater": {
          const gap = value(a()) - value(b())
          kink(gap, true)
          return tape.number((op === "atLeast" ? gap >= 0 : gap > 0) ? 1 : 0)
        }
        case "negate":
          return tape.times(a(), -1)
        case "absolute":
          kink(value(a()))
          return tape.times(a(), value(a()) >= 0 ? 1 : -1)
        case "exp":
          return tape.exp(a())
        case "log":
          return tape.log(a())
        case "sqrt":
          return tape.power(a(), 1 / 2)
        case "tanh": {
          const y = Math.tanh(value(a()))
          return tape.map(a(), y, 1 / Math.cosh(value(a())) ** 2)
        }
        case "sigmoid": {
          const y = 1 / (1 + Math.exp(-value(a())))
          return tape.map(a(), y, y / (1 + Math.exp(value(a()))))
        }
        case "atan":
          return tape.map(a(), Math.atan(value(a())), 1 / (1 + value(a()) ** 2))
        default:
          throw new Error(`the tape has no operation ${op}`)
      }
    }
    return at
  }
  const at = evaluate(false, new Map())
  return { states: next.map(at), y: at(output) }
}
