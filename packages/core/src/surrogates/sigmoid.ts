import { Schema } from "effect"
import { absolute, constant, sigmoid as σ } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"

/** g(z) = α·σ(αz)·(1 − σ(αz)). Default α = 4. */
export const sigmoid: Surrogate<{ readonly name: "sigmoid"; readonly alpha: number }> = {
  schema: Schema.Struct({ name: Schema.Literal("sigmoid"), alpha: Positive }),
  usual: { name: "sigmoid", alpha: 4 },
  expression: ({ alpha }) => ({
    slope: (z) => {
      // g is even; for negative arguments, 1 − σ does not lose precision.
      const y = σ(absolute(z.times(alpha)).negated())
      return y.times(alpha).times(constant(1).minus(y))
    },
    primitive: (z) => σ(z.times(alpha)),
  }),
}
