/**
 * Examples for every kernel, one line per group. A kernel without a line here does not compile; one without examples fails the
 * suite.
 */
import type { Examples } from "../example.ts"
import { elementwise } from "./elementwise.ts"
import { expressions } from "./expressions.ts"
import { maps } from "./maps.ts"
import { normalization } from "./normalization.ts"
import { pooling } from "./pooling.ts"
import { rearrangements } from "./rearrangements.ts"
import { training } from "./training.ts"

export const examples: Examples = {
  ...maps,
  ...pooling,
  ...rearrangements,
  ...normalization,
  ...elementwise,
  ...expressions,
  ...training,
}
