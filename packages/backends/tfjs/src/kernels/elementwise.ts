/** Kernels that treat every element alike, and bookkeeping. */
import type { KernelAttributes } from "@spikeroute/core"
import { elements } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

export const addForward: Composition<Operands<"a" | "b", "y">> = (tf, { a, b }) => ({
  y: tf.add(tf.flat(a), tf.flat(b)),
})

export const addBackward: Composition<Operands<"outputGradient", "inputGradient">> = (_, { outputGradient }) => ({
  inputGradient: outputGradient,
})

type Factor = KernelAttributes["scale.forward"]

export const scaleForward: Composition<Operands<"x", "y">, Factor> = (tf, { x }, { factor }) => ({
  y: tf.mul(factor, tf.flat(x)),
})

export const scaleBackward: Composition<Operands<"outputGradient", "inputGradient">, Factor> = (
  tf,
  { outputGradient },
  { factor },
) => ({ inputGradient: tf.mul(factor, tf.flat(outputGradient)) })

export const gainForward: Composition<Operands<"x" | "gain", "y">> = (tf, { x, gain }) => ({
  y: tf.mul(tf.flat(gain), tf.flat(x)),
})

export const gainBackward: Composition<
  Operands<"x" | "gain" | "outputGradient", "gainGradient", never, "inputGradient">
> = (tf, { x, gain, outputGradient, inputGradient }) => ({
  gainGradient: tf.total(tf.mul(x, outputGradient)),
  inputGradient: inputGradient && tf.mul(tf.flat(gain), tf.flat(outputGradient)),
})

type Rate = KernelAttributes["dropout.forward"]

export const dropoutForward: Composition<Operands<"x" | "mask", "y">, Rate> = (tf, { x, mask }, { rate }) => ({
  y: tf.div(tf.mul(tf.flat(x), tf.flat(mask)), 1 - rate),
})

export const dropoutBackward: Composition<Operands<"mask" | "outputGradient", "inputGradient">, Rate> = (
  tf,
  { mask, outputGradient },
  { rate },
) => ({ inputGradient: tf.div(tf.mul(tf.flat(outputGradient), tf.flat(mask)), 1 - rate) })

export const zero: Composition<Operands<never, "target">> = (tf, { target }) => ({ target: tf.fill(target.shape, 0) })

export const copy: Composition<Operands<"source", "target">> = (_, { source }) => ({ target: source })

export const firingRate: Composition<
  Operands<"spikes" | "metrics", never>,
  { readonly index: number; readonly terms: number }
> = (tf, { spikes, metrics }, { index, terms }) => {
  const rate = tf.div(tf.div(tf.total(spikes), elements(spikes)), terms)
  const padded = tf.pad(tf.reshape(rate, 1), [[index, elements(metrics) - index - 1]])
  return { metrics: tf.add(metrics, padded) }
}
