/** The table of ops: one file and one line here per op. */

import type { AnyOp } from "../op.ts"
import { adaptiveAveragePoolOp } from "./adaptive-average-pool.ts"
import { addOp } from "./add.ts"
import { averagePoolOp } from "./average-pool.ts"
import { batchNormOp } from "./batch-norm.ts"
import { concatenateOp } from "./concatenate.ts"
import { convTransposeOp } from "./conv-transpose.ts"
import { conv2dOp } from "./conv2d.ts"
import { delayOp } from "./delay.ts"
import { dropoutMaskOp, dropoutOp } from "./dropout.ts"
import { elementwiseOp } from "./elementwise.ts"
import { flattenOp } from "./flatten.ts"
import { gainOp } from "./gain.ts"
import { linearOp } from "./linear.ts"
import { maxPoolOp } from "./max-pool.ts"
import { reshapeOp } from "./reshape.ts"
import { scaleOp } from "./scale.ts"
import { sliceOp } from "./slice.ts"
import { sumPoolOp } from "./sum-pool.ts"
import { transposeOp } from "./transpose.ts"
import { upsampleOp } from "./upsample.ts"
import { weightStandardizationOp } from "./weight-standardization.ts"

/** Every op by name. */
export const ops: ReadonlyMap<string, AnyOp> = new Map(
  [
    linearOp,
    conv2dOp,
    convTransposeOp,
    weightStandardizationOp,
    batchNormOp,
    averagePoolOp,
    sumPoolOp,
    adaptiveAveragePoolOp,
    maxPoolOp,
    flattenOp,
    reshapeOp,
    transposeOp,
    sliceOp,
    concatenateOp,
    upsampleOp,
    dropoutMaskOp,
    dropoutOp,
    addOp,
    scaleOp,
    gainOp,
    elementwiseOp,
    delayOp,
  ].map((op: AnyOp) => [op.name, op]),
)
