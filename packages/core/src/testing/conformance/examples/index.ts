/** Examples for every kernel: a line for each group. A kernel without examples fails the suite. */
import type { Example } from "../example.ts"
import { elementwise } from "./elementwise.ts"
import { maps } from "./maps.ts"
import { neurons } from "./neurons.ts"
import { normalization } from "./normalization.ts"
import { pooling } from "./pooling.ts"
import { training } from "./training.ts"

export const examples: Readonly<Record<string, ReadonlyArray<Example>>> = {
  ...maps,
  ...pooling,
  ...normalization,
  ...elementwise,
  ...neurons,
  ...training,
}
