/**
 * The reference implementations, one line per kernel. They are separate from the instruction set, so that a bundle that only
 * compiles programs contains none of them.
 */
import { copyReference, firingRateReference, zeroReference } from "./bookkeeping.ts"
import { elementwiseBackwardReference, elementwiseForwardReference } from "./expressions/elementwise.ts"
import type { AnyImplementation, AnyKernel, AnyReferenceKernel, Reference } from "./kernel.ts"
import { type KernelName, type Kernels, kernels } from "./kernels.ts"
import { lossBackwardReference, lossForwardReference } from "./loss.ts"
import {
  adaptiveAveragePoolBackwardReference,
  adaptiveAveragePoolForwardReference,
} from "./ops/adaptive-average-pool.ts"
import { averagePoolBackwardReference, averagePoolForwardReference } from "./ops/average-pool.ts"
import { batchNormBackwardReference, batchNormForwardReference, batchNormInferenceReference } from "./ops/batch-norm.ts"
import { biasGradientReference } from "./ops/bias.ts"
import { convForwardReference, convInputGradientReference, convWeightGradientReference } from "./ops/conv2d.ts"
import { dropoutMaskReference } from "./ops/dropout.ts"
import { eligibilityReference } from "./ops/eligibility.ts"
import { linearForwardReference, linearInputGradientReference, linearWeightGradientReference } from "./ops/linear.ts"
import { maxPoolBackwardReference, maxPoolForwardReference } from "./ops/max-pool.ts"
import { rearrangeReference } from "./ops/rearrange.ts"
import {
  weightStandardizationBackwardReference,
  weightStandardizationForwardReference,
} from "./ops/weight-standardization.ts"

const references: { readonly [N in KernelName]: Reference<Kernels[N]> } = {
  "linear.forward": linearForwardReference,
  "linear.inputGradient": linearInputGradientReference,
  "linear.weightGradient": linearWeightGradientReference,
  eligibility: eligibilityReference,
  "conv2d.forward": convForwardReference,
  "conv2d.inputGradient": convInputGradientReference,
  "conv2d.weightGradient": convWeightGradientReference,
  "bias.gradient": biasGradientReference,
  "weightStandardization.forward": weightStandardizationForwardReference,
  "weightStandardization.backward": weightStandardizationBackwardReference,
  "batchNorm.forward": batchNormForwardReference,
  "batchNorm.inference": batchNormInferenceReference,
  "batchNorm.backward": batchNormBackwardReference,
  "averagePool.forward": averagePoolForwardReference,
  "averagePool.backward": averagePoolBackwardReference,
  "adaptiveAveragePool.forward": adaptiveAveragePoolForwardReference,
  "adaptiveAveragePool.backward": adaptiveAveragePoolBackwardReference,
  "maxPool.forward": maxPoolForwardReference,
  "maxPool.backward": maxPoolBackwardReference,
  rearrange: rearrangeReference,
  "dropout.mask": dropoutMaskReference,
  "elementwise.forward": elementwiseForwardReference,
  "elementwise.backward": elementwiseBackwardReference,
  "loss.forward": lossForwardReference,
  "loss.backward": lossBackwardReference,
  "spikes.rate": firingRateReference,
  zero: zeroReference,
  copy: copyReference,
}

/** Every kernel by name, with its cost and reference implementation. */
export const referenceKernels: ReadonlyMap<string, AnyReferenceKernel> = new Map(
  Object.entries<AnyImplementation>(references).map(([name, reference]) => [
    name,
    { ...(kernels.get(name) as AnyKernel), ...reference },
  ]),
)
