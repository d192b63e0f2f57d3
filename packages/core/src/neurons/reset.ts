/** What a spike does to the membrane potential u, giving the potential v that the next step starts from. */
import type { Schema } from "effect"
import { type Expression, of, route, type Value } from "../expressions/expression.ts"
import { oneOf } from "../options.ts"

export type Reset = "soft" | "hard" | "none"

export const ResetSchema: Schema.Literals<ReadonlyArray<Reset>> = oneOf(["soft", "hard", "none"])

/**
 * The membrane potential after the reset, through whose edge its gradient flows:
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
  return reset === "soft" ? u.minus(s.times(threshold)) : u.times(of(1).minus(s)).plus(s.times(to))
}
