/**
 * Products of two matrices that need not lie in memory as such: rows × depth times depth × columns.
 *
 * The depth has two levels, `steps` of `depth` each: of a convolution the taps of its window and the channels below each. It is
 * split over workgroups where tiles of the result are few for the adapter, or where sums would grow long; a second pass adds the
 * partial sums, always in the same order.
 *
 * On a GPU a workgroup computes a tile: it walks along the depth, brings a block of either factor into workgroup memory, and each
 * of its threads keeps a few rows and columns of sums in registers. A GPU made of software gains nothing from workgroup memory:
 * there threads read the factors where they lie, keep more sums, and pass over what all of their rows have no spike for.
 */
import { direct } from "./direct-product.ts"
import type { Product } from "./factors.ts"
import { forEachGroup, type Operands, type Stage } from "./shader.ts"
import { forEachStored } from "./spikes.ts"
import { tiled } from "./tiled-product.ts"

/** Where splits are many and sums few, threads share the splits of a sum. */
const manySplits = 32
const fewSums = 4096

/** The instruction's stages. */
export const product = (operands: Operands, factors: Product): ReadonlyArray<Stage> => {
  const { rows, columns, store, target } = factors
  const { stage, splits } = operands.target.software ? direct(operands, factors) : tiled(operands, factors)
  if (splits === 1) return [stage]
  const partial = rows * columns
  if (splits >= manySplits && partial <= fewSums && operands.get(target).then === undefined)
    return [
      stage,
      forEachGroup(
        operands,
        partial,
        `  let row = group / ${columns}u;
  let column = group % ${columns}u;
  var own = 0f;
  for (var split = local; split < ${splits}u; split += adders) { own += scratch[split * ${partial}u + group]; }
  let value = total(local, own);
  if (local == 0u) { ${store} }`,
        "",
        stage.scratch,
      ),
    ]
  const gather = forEachStored(
    operands,
    target,
    `  let row = i / ${columns}u;
  let column = i % ${columns}u;
  var value = 0f;
  for (var split = 0u; split < ${splits}u; split++) { value += scratch[split * ${partial}u + i]; }
  ${store}`,
    { scratch: stage.scratch },
  )
  return [stage, gather]
}
