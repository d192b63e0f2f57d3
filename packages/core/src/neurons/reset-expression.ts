/** What a spike s leaves of the membrane potential u: the reset, through whose edge its gradient flows. */
import { type Expression, of, route } from "../expressions/expression.ts"

/** `soft`: u − threshold·s; `none`: u; a number v₀: u where there is no spike, v₀ where there is one. */
export type ResetTo = "soft" | "none" | number

export const afterReset = (reset: ResetTo, u: Expression, spike: Expression, threshold: Expression): Expression => {
  if (reset === "none") return u
  const s = route("reset", spike)
  return reset === "soft" ? u.minus(s.times(threshold)) : u.times(of(1).minus(s)).plus(s.times(reset))
}
