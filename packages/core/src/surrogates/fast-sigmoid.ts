import { Schema } from "effect"
import { absolute, constant } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"

/** g(z) = 1/(1 + α·|z|)² (Zenke & Ganguli, Neural Computation 2018). Default α = 25, as in snnTorch. */
export const fastSigmoid: Surrogate<{ readonly name: "fastSigmoid"; readonly alpha: number }> = {
  schema: Schema.Struct({ name: Schema.Literal("fastSigmoid"), alpha: Positive }),
  usual: { name: "fastSigmoid", alpha: 25 },
  expression: ({ alpha }) => ({
    slope: (z) => {
      const d = absolute(z).times(alpha).plus(1)
      return constant(1).dividedBy(d.times(d))
    },
    primitive: (z) => z.dividedBy(absolute(z).times(alpha).plus(1)).plus(0.5),
  }),
}
