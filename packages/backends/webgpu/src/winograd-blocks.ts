/**
 * Winograd products on a software adapter, whose threads are lanes of a vector. The transformed points are the fastest axis in memory:
 * each thread of a workgroup first multiplies at one point, then transforms one element back.
 */
import { longestSum, smallMatmul } from "./matmul-problem.ts"
import { forEach, type Operands, range, type Stage, textOf } from "./shader.ts"
import type { Sums } from "./winograd.ts"
import { type Put, points } from "./winograd-transforms.ts"

/** Rows and columns of a workgroup's block, which has one thread per element. */
const block = 8
const threads = block * block

/** Limit of scratch memory, in elements. */
const mostScratch = 2 ** 22

const put: Put = (i, j, value) => `scratch[at + ${6 * i + j}u] = ${value};`

/** The stages, or `undefined` if the plain matrix product is faster. */
export const inBlocks = (operands: Operands, sums: Sums): ReadonlyArray<Stage> | undefined => {
  const { rows, columns, depth, tilesAre } = sums
  const lefts = rows * depth
  const rights = depth * columns
  const scratch = points * (lefts + rights)
  // For spikes the plain product is faster: it skips those that did not fire.
  if (operands.has("x") && operands.isSpikes("x")) return undefined
  if (Math.min(rows, columns) < block || depth > longestSum) return undefined
  if (rows * columns * depth * points < smallMatmul || scratch > mostScratch) return undefined
  const channels = tilesAre === "rows" ? depth : rows
  const transform = forEach(
    operands,
    lefts + rights,
    `  let at = i * ${points}u;
  if (i < ${lefts}u) {
    let c = i % ${channels}u; let tile = i / ${channels}u; ${sums.left(put)}
  } else {
    let e = i - ${lefts}u;
    ${sums.right(put)}
  }`,
    "",
    scratch,
  )
  const left = (row: string) => (tilesAre === "rows" ? `${row} * ${depth}u + k` : `k * ${rows}u + ${row}`)
  const each = (text: (i: number) => string) => range(block).map(text).join(" ")
  const multiply = textOf(
    operands,
    `
var<workgroup> sums: array<f32, ${threads * points}>;`,
    `  let firstRow = workgroup.x * ${block}u;
  let firstColumn = workgroup.y * ${block}u;
  if (local < ${points}u) {
    ${each((r) => `let row_${r} = min(firstRow + ${r}u, ${rows - 1}u);`)}
    ${each((q) => `let column_${q} = min(firstColumn + ${q}u, ${columns - 1}u);`)}
    ${each((r) => each((q) => `var sum_${r}_${q} = 0f;`))}
    for (var k = 0u; k < ${depth}u; k++) {
      ${each((q) => `let b_${q} = scratch[(${lefts}u + k * ${columns}u + column_${q}) * ${points}u + local];`)}
      ${range(block)
        .map(
          (r) =>
            `{ let a = scratch[(${left(`row_${r}`)}) * ${points}u + local]; ${each((q) => `sum_${r}_${q} += a * b_${q};`)} }`,
        )
        .join("\n      ")}
    }
    ${each((r) => each((q) => `sums[${(r * block + q) * points}u + local] = sum_${r}_${q};`))}
  }
  workgroupBarrier();
  let row = firstRow + local / ${block}u;
  let column = firstColumn + local % ${block}u;
  if (row < ${rows}u && column < ${columns}u) {
    ${sums.give({ before: "", at: (i, j) => `sums[local * ${points}u + ${6 * i + j}u]` })}
  }`,
  )
  return [
    transform,
    {
      text: multiply,
      threads,
      flexible: false,
      workgroups: () => [Math.ceil(rows / block), Math.ceil(columns / block), 1],
      scratch,
    },
  ]
}
