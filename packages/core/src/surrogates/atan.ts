import { Schema } from "effect"
import { atan as arctangent, constant } from "../expressions/expression.ts"
import { positiveWith } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"

const half = Math.PI / 2

/** g(z) = α/2 / (1 + (π/2·α·z)²) (Fang et al., ICCV 2021). Default α = 2. */
export const atan: Surrogate<{ readonly name: "atan"; readonly alpha: number }> = {
  schema: Schema.Struct({
    name: Schema.Literal("atan"),
    alpha: positiveWith("π/2·alpha", (alpha) => half * alpha),
  }),
  usual: { name: "atan", alpha: 2 },
  expression: ({ alpha }) => ({
    slope: (z) => {
      const scaled = z.times(half * alpha)
      return constant(alpha / 2).dividedBy(scaled.times(scaled).plus(1))
    },
    primitive: (z) =>
      arctangent(z.times(half * alpha))
        .times(1 / Math.PI)
        .plus(0.5),
  }),
}
