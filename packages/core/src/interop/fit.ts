/** Matches tensors against those of a network: all of them, no others, of the right shapes. */

import { Effect } from "effect"
import { aMap, argument } from "../arguments.ts"
import { MismatchError, NonFiniteTensorError } from "../errors.ts"
import { equals, type Shape, size } from "../shape.ts"
import { quote } from "../text.ts"
import { firstNonFinite, type Numbers, toFloat32 } from "../values.ts"
import type { StoredTensor } from "./safetensors.ts"

/** A tensor given by a caller. */
interface Shaped {
  readonly shape: Shape
  readonly unsupported?: string
  readonly values: Numbers
}

/** Fails with a NonFiniteTensorError for the first tensor that contains NaN or infinity. */
export const ensureFinite = (
  tensors: Iterable<readonly [name: string, tensor: { readonly values: Float32Array }]>,
): Effect.Effect<void, NonFiniteTensorError> =>
  Effect.suspend(() => {
    for (const [tensor, { values }] of argument(tensors, aMap, "ensureFinite")) {
      const index = firstNonFinite(values)
      if (index >= 0) return Effect.fail(new NonFiniteTensorError({ tensor, index, value: values[index] as number }))
    }
    return Effect.void
  })

/** A tensor's name: files of earlier versions name parameters as their buffers. */
export const renewed = (name: string): string => name.replace(/^parameter\//, "")

/**
 * Returns the tensors of `found` as float32 if their names and shapes are the expected ones. Fails with a MismatchError that lists
 * every tensor at fault, else with a NonFiniteTensorError. A tensor of an unsupported number type is ignored if the network has none
 * of its name, because it cannot be a weight.
 */
export const fit = (
  expected: ReadonlyMap<string, Shape>,
  found: ReadonlyMap<string, Shaped>,
): Effect.Effect<ReadonlyMap<string, StoredTensor>, MismatchError | NonFiniteTensorError> =>
  Effect.suspend((): ReturnType<typeof fit> => {
    const given: ReadonlyMap<string, Shaped> = found instanceof Map ? found : new Map()
    // An earlier name beside the present one stays as it is: unexpected.
    const all = [...given].map(([name, tensor]) => [given.has(renewed(name)) ? name : renewed(name), tensor] as const)
    const present = new Map<string, StoredTensor>()
    const unsupported: Array<{ readonly name: string; readonly dtype: string }> = []
    for (const [name, tensor] of all) {
      const values = toFloat32(tensor?.values)
      const dtype = tensor?.unsupported ?? (values ? undefined : quote(tensor?.values))
      // The length of a tensor is that of its values, whatever its shape.
      const shape = Array.isArray(tensor?.shape) && size(tensor.shape) === values?.length ? tensor.shape : undefined
      if (dtype === undefined && values) present.set(name, { shape: shape ?? [values.length], values })
      else if (dtype !== undefined && expected.has(name)) unsupported.push({ name, dtype })
    }
    const names = new Set(all.map(([name]) => name))
    const missing = [...argument(expected, aMap, "fit")]
      .filter(([name]) => !names.has(name))
      .map(([name, shape]) => ({ name, shape }))
    const unexpected = [...present]
      .filter(([name]) => !expected.has(name))
      .map(([name, { shape }]) => ({ name, shape }))
    const misshapen = [...present].flatMap(([name, { shape }]) => {
      const wanted = expected.get(name)
      return wanted === undefined || equals(wanted, shape) ? [] : [{ name, shape, expected: wanted }]
    })
    return missing.length + unexpected.length + misshapen.length + unsupported.length > 0
      ? Effect.fail(new MismatchError({ missing, unexpected, misshapen, unsupported }))
      : Effect.as(ensureFinite(present), present)
  })
