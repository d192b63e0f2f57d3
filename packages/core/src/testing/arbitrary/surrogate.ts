import * as fc from "fast-check"
import type { SurrogateOptions } from "../../surrogates/index.ts"

/** All surrogates, with widths on the scale of the threshold. */
export const surrogate = (): fc.Arbitrary<SurrogateOptions> =>
  fc
    .oneof(
      fc.record({ name: fc.constant("triangle" as const), alpha: fc.constantFrom(1, 0.5) }),
      fc.record({ name: fc.constant("rectangle" as const), width: fc.constantFrom(1, 2) }),
      fc.record({ name: fc.constant("sigmoid" as const), alpha: fc.constantFrom(1, 4) }),
      fc.record({ name: fc.constant("atan" as const), alpha: fc.constantFrom(1, 2) }),
      fc.record({ name: fc.constant("fastSigmoid" as const), alpha: fc.constantFrom(1, 5, 25) }),
    )
    // Gives the records the usual prototype.
    .map((options) => ({ ...options }))
