import { Schema } from "effect"
import { absolute, constant, maximum, minimum, select } from "../expressions/expression.ts"
import { positiveWith } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"

/** g(z) = max(0, α − α²·|z|) (Bellec et al., NeurIPS 2018). Default α = 1, as in the SLTT paper. */
export const triangle: Surrogate<{ readonly name: "triangle"; readonly alpha: number }> = {
  schema: Schema.Struct({ name: Schema.Literal("triangle"), alpha: positiveWith("alpha²", (alpha) => alpha ** 2) }),
  usual: { name: "triangle", alpha: 1 },
  expression: ({ alpha }) => ({
    slope: (z) => maximum(constant(alpha).minus(absolute(z).times(alpha * alpha)), 0),
    primitive: (z) => {
      const a = minimum(absolute(z.times(alpha)), 1)
      return select(z.atLeast(0), 1, -1)
        .times(a.minus(a.times(a).times(0.5)))
        .plus(0.5)
    },
  }),
}
