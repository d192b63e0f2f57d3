/** Whether tensors are those of a network: all of them, no others, of the right shapes. */
import { Effect } from "effect"
import { MismatchError, NonFiniteTensorError } from "../errors.ts"
import { equals, type Shape, size } from "../shape.ts"
import { firstNonFinite } from "../values.ts"

interface Shaped {
  readonly shape: Shape
  readonly unsupported?: string
  readonly values?: ArrayLike<number>
}

/** Fails with the first tensor that holds NaN or infinity. */
export const ensureFinite = (
  tensors: Iterable<readonly [name: string, tensor: { readonly values: Float32Array }]>,
): Effect.Effect<void, NonFiniteTensorError> =>
  Effect.suspend(() => {
    for (const [tensor, { values }] of tensors) {
      const index = firstNonFinite(values)
      if (index >= 0) return Effect.fail(new NonFiniteTensorError({ tensor, index, value: values[index] as number }))
    }
    return Effect.void
  })

/**
 * Fails with every tensor at fault; `expected` maps names to shapes. A tensor of numbers that are not read is passed over where the network
 * has none of its name: it cannot be a weight.
 */
export const fit = (
  expected: ReadonlyMap<string, Shape>,
  found: ReadonlyMap<string, Shaped>,
): Effect.Effect<void, MismatchError> => {
  // A tensor is as long as its values, whatever its shape says.
  const present = [...found].flatMap(([name, { shape, unsupported, values }]) =>
    unsupported === undefined
      ? [{ name, shape: values === undefined || values.length === size(shape) ? shape : [values.length] }]
      : [],
  )
  const missing = [...expected].filter(([name]) => !found.has(name)).map(([name, shape]) => ({ name, shape }))
  const unsupported = [...found].flatMap(([name, { unsupported: dtype }]) =>
    dtype === undefined || !expected.has(name) ? [] : [{ name, dtype }],
  )
  const unexpected = present.filter(({ name }) => !expected.has(name))
  const misshapen = present.flatMap(({ name, shape }) => {
    const wanted = expected.get(name)
    return wanted === undefined || equals(wanted, shape) ? [] : [{ name, shape, expected: wanted }]
  })
  return missing.length + unexpected.length + misshapen.length + unsupported.length === 0
    ? Effect.void
    : Effect.fail(new MismatchError({ missing, unexpected, misshapen, unsupported }))
}
