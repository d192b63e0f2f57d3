import { Schema } from "effect"
import { absolute, constant, maximum, minimum } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import type { Surrogate } from "./surrogate.ts"

/** g(z) = 1/width if |z| ≤ width/2, else 0 (Wu et al., Frontiers in Neuroscience 2018). Default width 1, the default threshold. */
export const rectangle: Surrogate<{ readonly name: "rectangle"; readonly width: number }> = {
  schema: Schema.Struct({ name: Schema.Literal("rectangle"), width: Positive }),
  usual: { name: "rectangle", width: 1 },
  expression: ({ width }) => ({
    slope: (z) =>
      constant(width / 2)
        .atLeast(absolute(z))
        .times(1 / width),
    primitive: (z) => minimum(maximum(z.dividedBy(width).plus(0.5), 0), 1),
  }),
}
