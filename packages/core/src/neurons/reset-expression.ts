/** What a spike s leaves of the membrane potential u, as an expression: the reset, through whose edge its gradient flows. */
import { argument, type Kind } from "../arguments.ts"
import { Expression, of, route, type Value } from "../expressions/expression.ts"
import type { Reset } from "./reset.ts"

const anExpression: Kind = ["an expression", (value) => value instanceof Expression]
const aReset: Kind = ["one of soft, hard, none", (value) => value === "soft" || value === "hard" || value === "none"]

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
  argument(u, anExpression, "Neuron.afterReset")
  argument(reset, aReset, "Neuron.afterReset", "reset")
  if (reset === "none") return u
  const s = route("reset", spike)
  return reset === "soft" ? u.minus(s.times(threshold)) : u.times(of(1).minus(s)).plus(s.times(to))
}
