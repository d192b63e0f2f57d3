/** Elementwise kernels and bookkeeping. */
import { elements } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

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
