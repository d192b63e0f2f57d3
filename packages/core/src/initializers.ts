/** How parameters start, for layers that are told so: `conv2d({ …, initial: { weight: Initializers.kaimingNormal(…) } })`. */
import type { Initializer } from "./graph/graph.ts"

export const zeros: Initializer = { kind: "constant", value: 0 }

/** The normal distribution around 0. */
export const normal = (standardDeviation: number): Initializer => ({ kind: "normal", standardDeviation })

/**
 * Kaiming normal by fan-out (He et al., "Delving deep into rectifiers", ICCV 2015): a standard deviation of
 * √(2/(channels·kernel²)) keeps the variance of gradients from layer to layer. PyTorch's
 * `kaiming_normal_(mode="fan_out", nonlinearity="relu")`.
 */
export const kaimingNormal = ({
  channels,
  kernelSize,
}: {
  /** Output channels. */
  readonly channels: number
  readonly kernelSize: number
}): Initializer => normal(Math.sqrt(2 / (channels * kernelSize ** 2)))
