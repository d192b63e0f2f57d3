/** The loss of a time step, and the accumulated outputs. */
import type { KernelAttributes } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"
import { elements } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"

type Attributes = KernelAttributes["loss.forward"]

/** The softmax's numerators and denominators, one-hot labels, and the differences from the target. */
const evaluate = (tf: Workspace, values: Tensor, labels: Tensor, { target }: Attributes) => {
  const batch = elements(labels)
  const classes = elements(values) / batch
  const logits = tf.rows(values, classes)
  const numbers = tf.create(
    [1, classes],
    Float32Array.from({ length: classes }, (_, c) => c),
  )
  const oneHot = tf.equal(tf.reshape(labels, batch, 1), numbers)
  const shifted = tf.sub(logits, tf.max(logits, 1))
  const powers = tf.exp(shifted)
  return {
    oneHot,
    shifted,
    powers,
    total: tf.sum(powers, 1, true),
    difference: tf.sub(logits, target === "ones" ? 1 : oneHot),
    batch,
    classes,
  }
}

export const lossForward: Composition<
  Operands<"logits" | "labels" | "metrics", never, "weights" | "outputs">,
  Attributes
> = (tf, { logits, labels, weights, metrics, outputs }, attributes) => {
  const { oneHot, shifted, total, difference, batch, classes } = evaluate(tf, logits, labels, attributes)
  const { mix, terms } = attributes
  const crossEntropy = tf.sub(tf.log(total), tf.sum(tf.mul(shifted, oneHot), 1, true))
  const squares = tf.square(difference)
  const sum = weights
    ? tf.total(
        tf.mul(
          tf.flat(weights),
          tf.flat(tf.add(tf.mul(1 - mix, crossEntropy), tf.mul(mix / classes, tf.sum(squares, 1, true)))),
        ),
      )
    : tf.add(tf.mul(1 - mix, tf.total(crossEntropy)), tf.mul(mix / classes, tf.total(squares)))
  const loss = tf.reshape(weights ? sum : tf.div(tf.div(sum, batch), terms), 1)
  return {
    metrics: tf.add(metrics, tf.pad(loss, [[0, elements(metrics) - 1]])),
    outputs: outputs && tf.add(tf.flat(outputs), tf.flat(logits)),
  }
}

export const lossBackward: Composition<Operands<"logits" | "labels", "logitsGradient", "weights">, Attributes> = (
  tf,
  { logits, labels, weights },
  attributes,
) => {
  const { oneHot, powers, total, difference, batch, classes } = evaluate(tf, logits, labels, attributes)
  const { mix, terms } = attributes
  const crossEntropy = tf.mul(1 - mix, tf.sub(tf.div(powers, total), oneHot))
  const squares = tf.mul((2 * mix) / classes, difference)
  const share = weights ? tf.reshape(weights, batch, 1) : 1 / (batch * terms)
  return { logitsGradient: tf.mul(share, tf.add(crossEntropy, squares)) }
}
