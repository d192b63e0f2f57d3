/**
 * Matrix products, rows × depth times depth × columns, of factors that need not be stored as matrices.
 *
 * The depth has two levels: `steps` of `depth` each, which for a convolution are the taps of the window and the channels at each tap.
 * It is split over workgroups if the result has too few tiles to fill the adapter, or if sums would grow too long; a second stage then
 * adds the partial sums in a fixed order.
 *
 * On hardware a workgroup computes a tile: it loads blocks of both factors into workgroup memory, and each thread accumulates a few rows
 * and columns in registers. A software adapter gains nothing from workgroup memory: its threads read the factors directly, accumulate
 * more sums each, and skip inputs at which none of their rows has a spike.
 */
import { directMatmul } from "./matmul-direct.ts"
import type { Matmul } from "./matmul-problem.ts"
import { tiledMatmul } from "./matmul-tiled.ts"
import { forEachGroup, type Operands, type Stage } from "./shader.ts"
import { forEachStored } from "./spikes.ts"

/** From this many splits, with at most this many sums, several threads share the splits of a sum. */
const manySplits = 32
const fewSums = 4096

/** The stages of a matrix product. */
export const matmul = (operands: Operands, factors: Matmul): ReadonlyArray<Stage> => {
  const { rows, columns, store, target } = factors
  const { stage, splits } = operands.target.software ? directMatmul(operands, factors) : tiledMatmul(operands, factors)
  if (splits === 1) return [stage]
  const partial = rows * columns
  if (splits >= manySplits && partial <= fewSums && operands.get(target).epilogue === undefined)
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
