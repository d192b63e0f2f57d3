/** The reset of the membrane potential by a spike. */
import type { Schema } from "effect"
import { type Expression, of, route, type Value } from "../expressions/expression.ts"
import { oneOf } from "../options.ts"

/** The effect of a spike on the membrane potential: subtract the threshold, set it to a value, or nothing. */
export type Reset = "soft" | "hard" | "none"

/** The Schema of {@link Reset}. */
export const ResetSchema: Schema.Literals<ReadonlyArray<Reset>> = oneOf(["soft", "hard", "none"])

/**
 * The membrane potential after the reset, from the potential u and the spike s. The gradient through s follows the temporal edge
 * `reset`:
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
