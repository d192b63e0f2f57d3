/** Whether tensors are those of a network: all of them, no others, of the right shapes. */
import { Effect } from "effect"
import { MismatchError } from "../errors.ts"
import { equals, type Shape } from "../shape.ts"

interface Shaped {
  readonly shape: Shape
}

/** Fails with every tensor at fault; `expected` maps names to shapes. */
export const fit = (
  expected: ReadonlyMap<string, Shape>,
  found: ReadonlyMap<string, Shaped>,
): Effect.Effect<void, MismatchError> => {
  const present = [...found].map(([name, { shape }]) => ({ name, shape }))
  const missing = [...expected].filter(([name]) => !found.has(name)).map(([name, shape]) => ({ name, shape }))
  const unexpected = present.filter(({ name }) => !expected.has(name))
  const misshapen = present.flatMap(({ name, shape }) => {
    const wanted = expected.get(name)
    return wanted === undefined || equals(wanted, shape) ? [] : [{ name, shape, expected: wanted }]
  })
  return missing.length + unexpected.length + misshapen.length === 0
    ? Effect.void
    : Effect.fail(new MismatchError({ missing, unexpected, misshapen }))
}
