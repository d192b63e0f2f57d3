/** What a spike s leaves of the membrane potential u, as an expression: the reset, through whose edge its gradient flows. */
import { type Expression, of, route, type Value } from "../expressions/expression.ts"
import type { Reset } from "./reset.ts"

/**
 * The membrane potential after the reset:
 *
 *     soft   u − threshold·s
 *     hard   u·(1 − s) + to·s
 *     none   u
 */
export const afterReset = (
  reset: Reset,
  u: Expression,
  spike: Expression,
  threshold: Value,
  to: Value = 0,
): Expression => {
  if (reset === "none") return u
  const s = route("reset", spike)
  return reset === "soft" ? of(u).minus(s.times(threshold)) : of(u).times(of(1).minus(s)).plus(s.times(to))
}
