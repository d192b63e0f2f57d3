import { Schema } from "effect"
import { atan as arctangent, constant, type SurrogateExpression } from "../expressions/expression.ts"
import { positiveWith } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"

export const AtanSchema: Schema.Codec<{ readonly name: "atan"; readonly alpha: number }> = Schema.Struct({
  name: Schema.Literal("atan"),
  alpha: positiveWith("π/2·alpha", (alpha) => (Math.PI / 2) * alpha),
})

/** g(z) = α/2 / (1 + (π/2·α·z)²) (Fang et al., ICCV 2021; α = 2). */
export const atan: Surrogate<{ readonly alpha: number }> = {
  name: "atan",
  gradient: (z, { alpha }) => alpha / 2 / (1 + ((Math.PI / 2) * alpha * z) ** 2),
  primitive: (z, { alpha }) => Math.atan((Math.PI / 2) * alpha * z) / Math.PI + 0.5,
}

/** The same as an expression. */
export const atanExpression = ({ alpha }: { readonly alpha: number }): SurrogateExpression => ({
  slope: (z) => {
    const scaled = z.times((Math.PI / 2) * alpha)
    return constant(alpha / 2).dividedBy(scaled.times(scaled).plus(1))
  },
  primitive: (z) =>
    arctangent(z.times((Math.PI / 2) * alpha))
      .times(1 / Math.PI)
      .plus(0.5),
})
