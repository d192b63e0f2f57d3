import { type Expression, of } from "../expressions/expression.ts"

/** The potential of a leaky membrane before it fires: v + (x − (v − v_reset))/τ with `decayInput`, else v − (v − v_reset)/τ + x. */
export const charged = (
  v: Expression,
  x: Expression,
  { tau, resetPotential }: Readonly<Record<"tau" | "resetPotential", Expression>>,
  { decayInput }: { readonly decayInput: boolean },
): Expression => {
  const rate = of(1).dividedBy(tau)
  const leak = v.minus(resetPotential)
  return decayInput ? v.plus(x.minus(leak).times(rate)) : v.minus(leak.times(rate)).plus(x)
}
