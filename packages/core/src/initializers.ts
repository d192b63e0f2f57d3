/** Initializers of parameters, for layers' `initial` option: `conv2d({ …, initial: { weight: Initializers.kaimingNormal(…) } })`. */

import { anObject, argument, type Kind } from "./arguments.ts"
import { OptionError } from "./errors.ts"
import type { Initializer } from "./graph/graph.ts"

/** All zeros. */
export const zeros: Initializer = { kind: "constant", value: 0 }

const aDeviation: Kind = [
  "a number from 0 to 4e37",
  (value) => typeof value === "number" && value >= 0 && value <= 4e37,
]
const aSize: Kind = ["a whole number of at least 1", (value) => Number.isSafeInteger(value) && (value as number) >= 1]

/**
 * The normal distribution with mean 0.
 *
 * @throws OptionError if the standard deviation is not a number from 0 to 4e37
 */
export const normal = (standardDeviation: number): Initializer => ({
  kind: "normal",
  standardDeviation: argument(standardDeviation, aDeviation, "Initializers.normal", "standardDeviation"),
})

/**
 * Kaiming normal initialisation by fan-out (He et al., "Delving deep into rectifiers", ICCV 2015): a standard deviation of
 * √(2/(channels·kernel area)) preserves the variance of gradients from layer to layer. Equivalent to PyTorch's
 * `kaiming_normal_(mode="fan_out", nonlinearity="relu")`.
 *
 * @throws OptionError for sizes that are not whole numbers of at least 1
 */
export const kaimingNormal = (options: {
  /** Output channels. */
  readonly channels: number
  readonly kernelSize: number | readonly [height: number, width: number]
}): Initializer => {
  const owner = "Initializers.kaimingNormal"
  const { channels, kernelSize, ...others } = argument(options, anObject, owner, "options")
  for (const [option, value] of Object.entries(others))
    throw new OptionError({ owner, option, value, expected: undefined })
  argument(channels, aSize, owner, "channels")
  const [height, width] = Array.isArray(kernelSize) ? kernelSize : [kernelSize, kernelSize]
  for (const size of [height, width]) argument(size, aSize, owner, "kernelSize")
  return normal(Math.sqrt(2 / (channels * height * width)))
}
