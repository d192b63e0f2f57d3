/** The distance of a cell from discontinuities and kinks, step by step, from its inputs alone. */
import type { Cell } from "../../expressions/cell.ts"
import { decode, encode, executable, interpret } from "../../expressions/code.ts"
import { type Expression, operandsOf } from "../../expressions/expression.ts"

/** Expressions that must not be near 0: distances from thresholds, differences of compared values, distances from kinks. */
export const distancesOf = (roots: ReadonlyArray<Expression>): ReadonlyArray<Expression> => {
  const found = new Set<Expression>()
  const seen = { value: new Set<Expression>(), slope: new Set<Expression>() }
  const visit = (expression: Expression, within: "value" | "slope"): void => {
    if (seen[within].has(expression)) return
    seen[within].add(expression)
    const { form } = expression
    if (form.kind === "fire") {
      found.add(form.z)
      visit(form.z, within)
      // Primitives are used in smooth networks only.
      visit(form.slope, "slope")
      return
    }
    const isJump = form.kind === "binary" && (form.op === "atLeast" || form.op === "greater")
    const isKink = form.kind === "binary" && (form.op === "minimum" || form.op === "maximum")
    if (isJump || (isKink && within === "value")) found.add(form.a.minus(form.b))
    if (form.kind === "unary" && form.op === "absolute" && within === "value") found.add(form.a)
    for (const operand of operandsOf(expression)) visit(operand, within)
  }
  for (const root of roots) visit(root, "value")
  return [...found]
}

/** Runs a cell step by step; every step returns its distance. */
export const distanceOf = (cell: Cell): ((given: (leaf: string) => Float32Array) => number) => {
  const all = decode(cell.code)
  const next = cell.next.map((place) => all[place] as Expression)
  const distances = distancesOf([...next, all[cell.output] as Expression])
  const thresholds = new Set([...all].flatMap(({ form }) => (form.kind === "fire" ? [form.z] : [])))
  const { code, places } = encode(executable([...next, ...distances], false))
  let states: ReadonlyArray<Float32Array> | undefined
  return (given) => {
    const count = given("x0").length
    const before = states ?? cell.initial.map((value) => new Float32Array(count).fill(value))
    const after = before.map(() => new Float32Array(count))
    let least = Number.POSITIVE_INFINITY
    interpret(
      code,
      places,
      count,
      (leaf, first, out) => {
        const values = leaf.startsWith("s.") ? before[Number(leaf.slice(2))]! : given(leaf)
        for (let i = 0; i < out.length; i++) out[i] = values[(first + i) % values.length]!
      },
      (i, first, values) => {
        if (i < next.length) return after[i]!.set(values, first)
        // Equal values stay equal in any arithmetic, but a spike may be a rounding error away.
        const counts = thresholds.has(distances[i - next.length] as Expression)
        for (const value of values) if (value !== 0 || counts) least = Math.min(least, Math.abs(value))
      },
    )
    states = after
    return least
  }
}
