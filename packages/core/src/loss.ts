/**
 * The loss of one time step (Meng et al., ICCV 2023), divided by the number of time steps T:
 *
 *     ℓ(out, y) = (1 − β)·CE(out, y) + β·MSE(out, target)
 *
 * CE is the cross-entropy of softmax(out), averaged over the batch. MSE is averaged over batch and classes; its target is 1 for all
 * classes (a regulariser) or one-hot. The logits of a sample are all its elements in memory order.
 *
 * With sample weights, the loss is Σ wₙ·ℓₙ instead of the average over samples divided by T.
 */
import { Schema } from "effect"
import { elementwise, make as kernel, type Operand, type Reference } from "./kernel.ts"
import { oneOf, Share } from "./options.ts"
import { size } from "./shape.ts"

/** Options of the loss. */
export interface Loss {
  /** β, the weight of the squared error, from 0 to 1. */
  readonly mix: number
  /** The target of the squared error. */
  readonly target: "ones" | "one-hot"
}

/** The Schema of {@link Loss}. */
export const LossSchema: Schema.Struct<{
  readonly mix: Schema.Finite
  readonly target: Schema.Literals<ReadonlyArray<Loss["target"]>>
}> = Schema.Struct({
  mix: Share,
  target: oneOf(["ones", "one-hot"]),
})

/** β = 0.05 with target 1: the SLTT paper's loss for CIFAR. */
export const defaultLoss: Loss = { mix: 0.05, target: "ones" }

/** Attributes of the loss kernels. */
export interface LossAttributes extends Loss {
  /** The number of terms that the loss averages: time steps × micro-batches. Ignored if there are sample weights. */
  readonly terms: number
}

/** Returns the loss. Calls `visit` for each logit with its softmax probability, its target and its sample's weight in the loss. */
const evaluate = (
  {
    logits,
    labels,
    weights,
  }: { readonly logits: Operand; readonly labels: Operand; readonly weights?: Operand | undefined },
  { mix, target, terms }: LossAttributes,
  visit: (i: number, probability: number, isLabel: boolean, difference: number, share: number) => void,
): number => {
  const batch = labels.data.length
  const classes = logits.data.length / batch
  let total = 0
  for (let n = 0; n < batch; n++) {
    const row = logits.data.subarray(n * classes, (n + 1) * classes)
    const label = labels.data[n]!
    const share = weights ? weights.data[n]! : 1 / (batch * terms)
    let largest = Number.NEGATIVE_INFINITY
    for (const logit of row) if (!(logit <= largest)) largest = logit
    let sum = 0
    for (const logit of row) sum += Math.exp(logit - largest)
    let loss = (1 - mix) * (Math.log(sum) + largest - row[label]!)
    for (let c = 0; c < classes; c++) {
      const isLabel = c === label
      const difference = row[c]! - (target === "ones" || isLabel ? 1 : 0)
      loss += (mix * difference * difference) / classes
      visit(n * classes + c, Math.exp(row[c]! - largest) / sum, isLabel, difference, share)
    }
    total += weights ? share * loss : loss
  }
  return weights ? total : total / batch / terms
}

/** metrics[0] += ℓ/T,  outputs += logits. The prediction is the largest output after the last step. */
export const lossForward = kernel<LossAttributes>()({
  name: "loss.forward",
  operands: { logits: "read", labels: "read", weights: "read?", metrics: "update", outputs: "update?" },
})

export const lossForwardReference: Reference<typeof lossForward> = {
  cost: ({ logits }) => elementwise(size(logits.shape), 2, 4),
  run: ({ metrics, outputs, ...read }, attributes) => {
    metrics.data[0]! += evaluate(read, attributes, () => {})
    outputs?.data.forEach((_, i) => {
      outputs.data[i]! += read.logits.data[i]!
    })
  },
}

/** ∂out = ((1 − β)·(softmax(out) − onehot(y)) + 2β·(out − target)/classes) / (N·T); with sample weights, wₙ replaces 1/(N·T). */
export const lossBackward = kernel<LossAttributes>()({
  name: "loss.backward",
  operands: { logits: "read", labels: "read", weights: "read?", logitsGradient: "gradient" },
})

export const lossBackwardReference: Reference<typeof lossBackward> = {
  cost: ({ logits }) => elementwise(size(logits.shape), 3, 4),
  run: ({ logitsGradient, ...read }, attributes) => {
    const classes = read.logits.data.length / read.labels.data.length
    const { mix } = attributes
    evaluate(read, attributes, (i, probability, isLabel, difference, share) => {
      const crossEntropy = (1 - mix) * (probability - (isLabel ? 1 : 0))
      logitsGradient.data[i]! += share * (crossEntropy + (2 * mix * difference) / classes)
    })
  },
}
