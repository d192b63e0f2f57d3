import * as fc from "fast-check"
import type { SurrogateOptions } from "../../surrogates/index.ts"

/** Every surrogate, with widths of the order of the threshold. */
export const surrogate = (): fc.Arbitrary<SurrogateOptions> =>
  fc
    .oneof(
      fc.record({ name: fc.constant("triangle" as const), alpha: fc.constantFrom(1, 0.5) }),
      fc.record({ name: fc.constant("rectangle" as const), width: fc.constantFrom(1, 2) }),
      fc.record({ name: fc.constant("sigmoid" as const), alpha: fc.constantFrom(1, 4) }),
      fc.record({ name: fc.constant("atan" as const), alpha: fc.constantFrom(1, 2) }),
      fc.record({ name: fc.constant("fastSigmoid" as const), alpha: fc.constantFrom(1, 5, 25) }),
    )
    // Records without a prototype are not what people write, nor what JSON gives back.
    .map((options) => ({ ...options }))
