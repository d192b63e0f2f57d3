/** Two instructions that become one, so that what lies between them needs no memory. */
import type { Ref } from "../op.ts"
import { sideOfMeans } from "../ops/window.ts"
import { type DraftBuffer, moved } from "./layout.ts"
import { type Instruction, isOf, type SegmentName, segmentNames } from "./program.ts"

/**
 * Neurons, and whatever else is elementwise, take the gradient of the average pool behind them as it is, where its windows lie side by side
 * and nothing else gives them one: a pool of 2×2 makes four equal elements of each of its gradient's, and in networks whose first layers are the largest that is
 * much of what a step needs. Changes the segments, and gives the buffers that they still use.
 */
export const fuse = (
  buffers: ReadonlyArray<DraftBuffer>,
  segments: Record<SegmentName, ReadonlyArray<Instruction>>,
): ReadonlyArray<DraftBuffer> => {
  /** How many operands of all instructions each buffer is. */
  const uses: Array<number> = buffers.map(() => 0)
  for (const { operands } of Object.values(segments).flat())
    for (const { buffer } of Object.values(operands)) uses[buffer]! += 1
  const gone = new Set<number>()
  for (const name of segmentNames) {
    const fused: Array<Instruction> = []
    for (const instruction of segments[name]) {
      const before = fused.at(-1)
      const { kernel, operands, attributes } = instruction
      const side = isOf(before, "averagePool.backward") ? sideOfMeans(before.attributes) : undefined
      const between = operands.dy?.buffer as number
      if (
        kernel !== "elementwise.backward" ||
        !isOf(before, "averagePool.backward") ||
        before.operands.inputGradient?.buffer !== between ||
        // One writes it, the other reads it: so it is set, not added to, and of no use elsewhere.
        uses[between] !== 2 ||
        side === undefined ||
        // Of a sequence's pool the windows are rows.
        (buffers[between] as DraftBuffer).shape.length !== 4
      ) {
        fused.push(instruction)
        continue
      }
      gone.add(between)
      const [, height = 0, width = 0] = (buffers[between] as DraftBuffer).shape
      fused[fused.length - 1] = {
        ...instruction,
        operands: { ...operands, dy: before.operands.outputGradient as Ref },
        attributes: { ...attributes, pool: { kernelSize: side, height, width } },
      }
    }
    segments[name] = fused
  }
  const left = buffers.map((_, i) => i).filter((i) => !gone.has(i))
  const places = new Map(left.map((from, to) => [from, to]))
  for (const name of segmentNames)
    segments[name] = segments[name].map((instruction) => moved(instruction, (i) => places.get(i) as number))
  return left.map((i) => buffers[i] as DraftBuffer)
}
